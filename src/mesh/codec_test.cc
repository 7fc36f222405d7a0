#include <doctest/doctest.h>

#include "base/text.h"
#include "mesh/kernel_codec.h"
#include "mesh/limits.h"
#include "mesh/uapi.h"

using namespace perigee;
using namespace perigee::mesh;

namespace {

constexpr std::string_view kHexA =
    "6161616161616161616161616161616161616161616161616161616161616161";

PublicKey key(char fill) {
  return *PublicKey::from_raw(std::string(32, fill));
}

DeviceChange one_peer() {
  return {.key = *PrivateKey::from_raw(std::string(32, '\x48')),
          .listen_port = 51820,
          .peers = {{.action = PeerAction::add,
                     .key = key('a'),
                     .endpoint = *sys::Address::parse("203.0.113.7:51820"),
                     .keepalive = Duration(25s),
                     .mode = AllowedMode::replace,
                     .allowed = {*Prefix::parse("fd00:1::/64")}}}};
}

std::string bytes_of(const sys::NetlinkMessage& message) {
  return message.finish(0, 0);
}

std::string hex(std::string_view bytes) {
  return to_hex({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

}  // namespace

TEST_CASE("a change is written as the cross-platform protocol wants it") {
  DeviceChange change = one_peer();
  change.peers.push_back({.action = PeerAction::update, .key = key('b'), .keepalive = Duration(0)});
  change.peers.push_back({.action = PeerAction::remove, .key = key('c')});
  CHECK(uapi_set(change) ==
        fmt::format("set=1\n"
                    "private_key=4848484848484848484848484848484848484848484848484848484848484848\n"
                    "listen_port=51820\n"
                    "public_key={}\n"
                    "endpoint=203.0.113.7:51820\n"
                    "replace_allowed_ips=true\n"
                    "allowed_ip=fd00:1::/64\n"
                    "persistent_keepalive_interval=25\n"
                    "public_key={}\n"
                    "update_only=true\n"
                    "persistent_keepalive_interval=0\n"
                    "public_key={}\n"
                    "remove=true\n"
                    "\n",
                    kHexA, hex(std::string(32, 'b')), hex(std::string(32, 'c'))));
}

TEST_CASE("a device's answer is read, with what is unknown left out") {
  const std::string answer = fmt::format(
      "private_key=4848484848484848484848484848484848484848484848484848484848484848\n"
      "listen_port=51820\nfwmark=7\n"
      "public_key={0}\npreshared_key={1}\nprotocol_version=1\nendpoint=[fd00::7]:4000\n"
      "last_handshake_time_sec=1790000000\nlast_handshake_time_nsec=5\n"
      "tx_bytes=100\nrx_bytes=200\npersistent_keepalive_interval=25\n"
      "allowed_ip=fd00:1::/64\nallowed_ip=10.0.0.1/32\n"
      "public_key={2}\nendpoint=[fe80::1%eth0]:4000\nerrno=0\n\n",
      kHexA, std::string(64, '0'), hex(std::string(32, 'b')));
  CHECK(uapi_complete(answer));
  CHECK_FALSE(uapi_complete(std::string_view(answer).substr(0, answer.size() - 1)));
  const auto state = parse_uapi_state(answer);
  REQUIRE(state.has_value());
  CHECK(state->key == *PrivateKey::from_raw(std::string(32, '\x48')));
  CHECK(state->listen_port == 51820);
  REQUIRE(state->peers.size() == 2);
  const PeerState expected{
      .key = key('a'),
      .endpoint = *sys::Address::parse("[fd00::7]:4000"),
      .allowed = {*Prefix::parse("fd00:1::/64"), *Prefix::parse("10.0.0.1/32")},
      .keepalive = 25s,
      .last_handshake = {1'790'000'000'000'000'005},
      .received_bytes = 200,
      .sent_bytes = 100};
  CHECK(state->peers[0] == expected);
  CHECK(state->peers[1] == PeerState{.key = key('b')});
}

TEST_CASE("an answer that is cut, refused or no answer is an error") {
  for (const std::string_view bad :
       {"", "listen_port=51820\n", "errno=-22\n\n", "listen_port=70000\nerrno=0\n\n", "no line\n\n",
        "public_key=zz\nerrno=0\n\n",
        "public_key=6161616161616161616161616161616161616161616161616161616161616161\n"
        "allowed_ip=fd00::1/64\nerrno=0\n\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_uapi_state(bad).has_value());
  }
  CHECK(parse_uapi_done("errno=0\n\n").has_value());
  CHECK(parse_uapi_done("errno=-22\n\n").error().context.find("-22") != std::string::npos);
}

// linux/wireguard.h: the attributes of WG_CMD_SET_DEVICE, little-endian as on x86.
TEST_CASE("a change is encoded for the kernel byte by byte as documented") {
  const auto messages = kernel_set(0x1c, "pgw-1", one_peer());
  REQUIRE(messages.size() == 1);
  // clang-format off
  const std::string expected =
      "c8000000" "1c00" "0000" "00000000" "00000000"  // nlmsghdr: length 200, family 28
      "01" "01" "0000"                                // genlmsghdr: WG_CMD_SET_DEVICE, version 1
      "0a00" "0200" "7067772d3100" "0000"             // IFNAME "pgw-1"
      "2400" "0300" + hex(std::string(32, '\x48')) +  // PRIVATE_KEY
      "0600" "0600" "6cca" "0000"                     // LISTEN_PORT 51820
      "7c00" "0880"                                   // PEERS, nested, 124 bytes
      "7800" "0080"                                   // the first
      "2400" "0100" + std::string(kHexA) +            // PUBLIC_KEY
      "0800" "0300" "02000000"                        // FLAGS: REPLACE_ALLOWEDIPS
      "1400" "0400" "0200" "ca6c" "cb007107" "0000000000000000"  // ENDPOINT: sockaddr_in
      "0600" "0500" "1900" "0000"                     // PERSISTENT_KEEPALIVE_INTERVAL 25
      "2c00" "0980"                                   // ALLOWEDIPS, nested
      "2800" "0080"                                   // the first
      "0600" "0100" "0a00" "0000"                     // FAMILY AF_INET6
      "1400" "0200" "fd000001000000000000000000000000"  // IPADDR
      "0500" "0300" "40" "000000";                    // CIDR_MASK 64
  // clang-format on
  CHECK(hex(bytes_of(messages[0])) == expected);
}

TEST_CASE("many peers are told to the kernel in messages of bounded size, none twice") {
  DeviceChange change;
  for (int i = 1; i <= 1000; ++i) {
    std::string raw(32, 'x');
    raw[0] = static_cast<char>(i & 0xff);
    raw[1] = static_cast<char>(i >> 8);
    PeerChange peer{.action = PeerAction::add, .key = *PublicKey::from_raw(raw)};
    peer.allowed.assign(kMaxAllowedPrefixes, *Prefix::parse("fd00:1::/64"));
    change.peers.push_back(peer);
  }
  DeviceState state;
  for (const auto& message : kernel_set(20, "pgw-1", change)) {
    CHECK(message.size() <= kMaxKernelMessage);
    // What is set and what is told have the same form.
    CHECK(parse_kernel_state(sys::skip(bytes_of(message), 16), state).has_value());
  }
  REQUIRE(state.peers.size() == 1000);
  for (std::size_t i = 0; i < 1000; ++i) {
    CHECK(state.peers[i].key == change.peers[i].key);
    CHECK(state.peers[i].allowed == change.peers[i].allowed);
  }
}

TEST_CASE("the kernel's answer is read, a peer told in two parts as one") {
  const auto part = [](std::string_view network) {
    DeviceChange change = one_peer();
    change.peers[0].allowed = {*Prefix::parse(network)};
    return std::string(sys::skip(bytes_of(kernel_set(20, "pgw-1", change).front()), 16));
  };
  DeviceState state;
  REQUIRE(parse_kernel_state(part("fd00:1::/64"), state).has_value());
  REQUIRE(parse_kernel_state(part("10.0.0.0/8"), state).has_value());
  CHECK(state.key == one_peer().key);
  CHECK(state.listen_port == 51820);
  REQUIRE(state.peers.size() == 1);
  CHECK(state.peers[0].endpoint == *sys::Address::parse("203.0.113.7:51820"));
  CHECK(state.peers[0].keepalive == Duration(25s));
  CHECK(state.peers[0].allowed ==
        std::vector{*Prefix::parse("fd00:1::/64"), *Prefix::parse("10.0.0.0/8")});
}

TEST_CASE("a question to the kernel names the interface") {
  CHECK(hex(bytes_of(kernel_get(20, "pgw-1"))) ==
        "20000000"
        "1400"
        "0000"
        "00000000"
        "00000000"
        "00010000"
        "0a000200"
        "7067772d3100"
        "0000");
}
