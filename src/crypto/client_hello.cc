#include "crypto/client_hello.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace perigee::crypto {
namespace {

constexpr unsigned kHandshakeRecord = 22;
constexpr unsigned kClientHello = 1;
constexpr unsigned kMajorVersion = 3;
constexpr unsigned kServerName = 0;  // an extension, and in it the type of a host's name
constexpr std::size_t kRecordHead = 5;
constexpr std::size_t kMaxRecord = 1 << 14;
constexpr std::size_t kMessageHead = 4;
constexpr std::size_t kVersionAndRandom = 34;
constexpr std::size_t kMaxName = 255;

std::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::data_loss, "TLS ClientHello: {}", what);
}

// Takes parts off the front of a text; once one is not there, all are empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::string_view take(std::size_t size) {
    if (broken_ || rest_.size() < size) {
      broken_ = true;
      return {};
    }
    const std::string_view part = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return part;
  }
  std::size_t number(std::size_t bytes) {
    std::size_t value = 0;
    for (const char c : take(bytes)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  // What has its length before it, in so many bytes.
  std::string_view vector(std::size_t length_bytes) { return take(number(length_bytes)); }
  bool at_end() const { return rest_.empty(); }
  bool broken() const { return broken_; }

 private:
  std::string_view rest_;
  bool broken_ = false;
};

bool is_whole(std::string_view message) {
  Reader reader(message);
  reader.take(1);
  reader.vector(3);
  return !reader.broken();
}

// The first message, out of the records that have arrived. An error where they are no handshake's.
Result<std::string> first_message(std::string_view bytes) {
  std::string out;
  while (!bytes.empty() && !is_whole(out)) {
    Reader head(bytes.substr(0, kRecordHead));
    const std::size_t type = head.number(1);
    if (type != kHandshakeRecord) return malformed("the first record is of another kind");
    if (bytes.size() < 2) break;
    if (head.number(1) != kMajorVersion) return malformed("no version of TLS");
    if (bytes.size() < kRecordHead) break;
    head.number(1);
    const std::size_t size = head.number(2);
    if (size == 0 || size > kMaxRecord) return malformed("a record of a wrong length");
    out += bytes.substr(kRecordHead, size);
    bytes.remove_prefix(std::min(bytes.size(), kRecordHead + size));
  }
  return out;
}

bool is_host_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

Result<std::string> server_name_in(std::string_view extension) {
  Reader reader(extension);
  Reader names(reader.vector(2));
  const std::size_t type = names.number(1);
  std::string name = to_lower(names.vector(2));
  if (reader.broken() || names.broken() || !reader.at_end() || !names.at_end()) {
    return malformed("its server name is malformed");
  }
  if (name.ends_with('.')) name.pop_back();
  if (type != kServerName || !is_host_name(name)) return malformed("it asks for no host's name");
  return name;
}

Result<ClientHello> parse_extensions(std::string_view bytes) {
  ClientHello hello;
  bool named = false;
  Reader reader(bytes);
  while (!reader.at_end()) {
    const std::size_t type = reader.number(2);
    const std::string_view extension = reader.vector(2);
    if (reader.broken()) return malformed("its extensions are malformed");
    if (type != kServerName) continue;
    if (std::exchange(named, true)) return malformed("it asks for two names");
    TRY(hello.server_name, server_name_in(extension));
  }
  return hello;
}

Result<ClientHello> parse_body(std::string_view body) {
  Reader reader(body);
  reader.take(kVersionAndRandom);
  reader.vector(1);  // session id
  reader.vector(2);  // ciphers
  reader.vector(1);  // compression
  if (!reader.broken() && reader.at_end()) return ClientHello{};
  const std::string_view extensions = reader.vector(2);
  if (reader.broken() || !reader.at_end()) return malformed("cut off, or something follows");
  return parse_extensions(extensions);
}

}  // namespace

Result<std::optional<ClientHello>> parse_client_hello(std::string_view bytes) {
  const bool full = bytes.size() >= kMaxClientHello;
  TRY(const std::string message, first_message(bytes.substr(0, kMaxClientHello)));
  if (!message.empty() && static_cast<unsigned char>(message[0]) != kClientHello) {
    return malformed("another message comes first");
  }
  Reader reader(message);
  reader.take(1);
  const std::size_t size = reader.number(3);
  if (!reader.broken() && size > kMaxClientHello - kMessageHead) return malformed("too long");
  const std::string_view body = reader.take(size);
  if (reader.broken()) {
    if (full) return malformed("too long");
    return std::nullopt;
  }
  TRY(ClientHello hello, parse_body(body));
  return hello;
}

}  // namespace perigee::crypto
