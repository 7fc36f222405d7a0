#include "mesh/uapi.h"

#include <span>

#include "base/text.h"
#include "mesh/limits.h"

namespace perigee::mesh {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::uint64_t kMaxNanoseconds = 999'999'999;
constexpr std::uint64_t kMaxSeconds = 9'000'000'000;  // fits WallTime
constexpr std::uint64_t kMaxNumber = ~std::uint64_t{0} >> 1;

std::string hex_of(const std::string& raw) {
  return to_hex({reinterpret_cast<const std::uint8_t*>(raw.data()), raw.size()});
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

Result<std::string> raw_key(std::string_view hex) {
  std::string raw;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    if (high < 0 || low < 0) break;
    raw.push_back(static_cast<char>(high * 16 + low));
  }
  if (hex.size() != 2 * kKeyBytes || raw.size() != kKeyBytes) {
    return fail(Code::data_loss, "a key is not {} hexadecimal digits", 2 * kKeyBytes);
  }
  return raw;
}

Result<std::uint64_t> number(std::string_view key, std::string_view value, std::uint64_t max) {
  const auto parsed = parse_uint(value, max);
  if (!parsed) return fail(Code::data_loss, "{}={}: not a number up to {}", key, value, max);
  return *parsed;
}

void put_peer(std::string& out, const PeerChange& peer) {
  out += fmt::format("public_key={}\n", hex_of(peer.key.raw()));
  if (peer.action == PeerAction::remove) {
    out += "remove=true\n";
    return;
  }
  // One that has vanished meanwhile is not to come back with half of its settings.
  if (peer.action == PeerAction::update) out += "update_only=true\n";
  if (peer.endpoint) out += fmt::format("endpoint={}\n", *peer.endpoint);
  if (peer.mode == AllowedMode::replace) out += "replace_allowed_ips=true\n";
  for (const Prefix& prefix : peer.allowed) out += fmt::format("allowed_ip={}\n", prefix.str());
  // Last: switching it on sends at once, for which the rest should stand.
  if (peer.keepalive) {
    out += fmt::format("persistent_keepalive_interval={}\n", to_ms(*peer.keepalive) / 1000);
  }
}

// Takes the lines of an answer, one by one.
class StateReader {
 public:
  Result<void> take(std::string_view key, std::string_view value) {
    if (key == "public_key") return begin_peer(value);
    if (key == "errno") return take_errno(value);
    return state_.peers.empty() ? take_device(key, value) : take_peer(key, value);
  }
  Result<DeviceState> finish() && {
    if (!ended_) return fail(Code::data_loss, "it ends before errno");
    return std::move(state_);
  }

 private:
  Result<void> begin_peer(std::string_view value) {
    if (state_.peers.size() == kMaxPeers) {
      return fail(Code::resource_exhausted, "more than {} peers", kMaxPeers);
    }
    TRY(const std::string raw, raw_key(value));
    TRY(PublicKey key, PublicKey::from_raw(raw));
    state_.peers.push_back({.key = std::move(key)});
    return {};
  }

  Result<void> take_errno(std::string_view value) {
    if (value != "0") return fail(Code::internal, "errno {}", value);
    ended_ = true;
    return {};
  }

  Result<void> take_device(std::string_view key, std::string_view value) {
    if (key == "private_key") {
      TRY(const std::string raw, raw_key(value));
      TRY(state_.key, PrivateKey::from_raw(raw));
    } else if (key == "listen_port") {
      TRY(const auto port, number(key, value, 0xffff));
      state_.listen_port = static_cast<std::uint16_t>(port);
    }
    return {};  // others (fwmark, what newer versions add) are not ours
  }

  Result<void> take_peer(std::string_view key, std::string_view value) {
    PeerState& peer = state_.peers.back();
    if (key == "endpoint") {
      // One with a zone (a neighbour's link-local address) is as good as unknown: it only roams.
      if (auto endpoint = sys::Address::parse(value)) peer.endpoint = *endpoint;
    } else if (key == "allowed_ip") {
      TRY(const Prefix prefix, Prefix::parse(value));
      peer.allowed.push_back(prefix);
    } else if (key == "persistent_keepalive_interval") {
      TRY(const auto seconds, number(key, value, 0xffff));
      peer.keepalive = std::chrono::seconds(seconds);
    } else if (key == "last_handshake_time_sec") {
      TRY(const auto seconds, number(key, value, kMaxSeconds));
      peer.last_handshake.ns += static_cast<std::int64_t>(seconds) * 1'000'000'000;
    } else if (key == "last_handshake_time_nsec") {
      TRY(const auto nanoseconds, number(key, value, kMaxNanoseconds));
      peer.last_handshake.ns += static_cast<std::int64_t>(nanoseconds);
    } else if (key == "rx_bytes") {
      TRY(peer.received_bytes, number(key, value, kMaxNumber));
    } else if (key == "tx_bytes") {
      TRY(peer.sent_bytes, number(key, value, kMaxNumber));
    }
    return {};
  }

  DeviceState state_;
  bool ended_ = false;
};

}  // namespace

std::string uapi_get() {
  return "get=1\n\n";
}

std::string uapi_set(const DeviceChange& change) {
  std::string out = "set=1\n";
  if (change.key) out += fmt::format("private_key={}\n", hex_of(change.key->raw()));
  if (change.listen_port) out += fmt::format("listen_port={}\n", *change.listen_port);
  for (const PeerChange& peer : change.peers) put_peer(out, peer);
  return out + "\n";
}

bool uapi_complete(std::string_view answer) {
  return answer.ends_with("\n\n");
}

Result<DeviceState> parse_uapi_state(std::string_view answer) {
  StateReader reader;
  for (const std::string_view line : split(answer, '\n')) {
    if (line.empty()) continue;
    const auto pair = split_once(line, '=');
    if (!pair) return fail(Code::data_loss, "WireGuard's answer has a line without '='");
    TRY_VOID_AS(reader.take(pair->first, pair->second), "WireGuard's answer");
  }
  TRY_AS(DeviceState state, std::move(reader).finish(), "WireGuard's answer");
  return state;
}

Result<void> parse_uapi_done(std::string_view answer) {
  if (trim(answer) == "errno=0") return {};
  return fail(Code::internal, "WireGuard refused its configuration ({})", trim(answer));
}

}  // namespace perigee::mesh
