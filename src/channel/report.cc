// The codec of what a guest reports when it is asked. A count, then as many entries; the guest may
// lie, so every count and length has a bound of limits.h.
#include <algorithm>
#include <utility>
#include <vector>

#include "channel/codec.h"
#include "channel/limits.h"
#include "channel/wire.h"

namespace perigee::channel {
namespace {

constexpr std::uint8_t kIpv4 = 4;  // the family's bytes on the wire
constexpr std::uint8_t kIpv6 = 16;

// A length in one byte, then the bytes.
void put_short(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint8_t>(text.size()));
  out.append(text);
}

std::string get_short(Reader& in) {
  const auto size = in.get<std::uint8_t>();
  return std::string(in.take(size));
}

template <typename Numbers>
void put_all(std::string& out, const Numbers& numbers) {
  for (const auto number : numbers) {
    put(out, number);
  }
}

template <typename Numbers>
void get_all(Reader& in, Numbers& numbers) {
  for (auto& number : numbers) {
    number = in.get<typename Numbers::value_type>();
  }
}

Decoded<ListeningSocket> decode_socket(Reader& in) {
  ListeningSocket socket;
  socket.address = get_short(in);
  socket.port = in.get<std::uint16_t>();
  socket.process = get_short(in);
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  const bool is_address = socket.address.size() == kIpv4 || socket.address.size() == kIpv6;
  if (!is_address || socket.port == 0 || socket.process.size() > kMaxProcessName) {
    return std::unexpected(DecodeError::kBadValue);
  }
  return socket;
}

template <typename Rows>
void put_rows(std::string& out, const Rows& rows) {
  const std::size_t count = std::min(rows.size(), kMaxStatsRows);
  put(out, static_cast<std::uint16_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    put_short(out, std::string_view(rows[i].name).substr(0, kMaxStatsName));
    put_all(out, rows[i].values);
  }
}

// False: more rows than allowed.
template <typename Row>
bool get_rows(Reader& in, std::vector<Row>& rows) {
  const auto count = in.get<std::uint16_t>();
  if (count > kMaxStatsRows) {
    return false;
  }
  for (std::uint16_t i = 0; i < count && in.ok(); ++i) {
    Row row;
    row.name = get_short(in);
    get_all(in, row.values);
    rows.push_back(std::move(row));
  }
  return true;
}

}  // namespace

std::string encode(const Listening& message) {
  const std::size_t count = std::min(message.sockets.size(), kMaxListening);
  std::string payload;
  put(payload, static_cast<std::uint16_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    const ListeningSocket& socket = message.sockets[i];
    put_short(payload, socket.address);
    put(payload, socket.port);
    put_short(payload, std::string_view(socket.process).substr(0, kMaxProcessName));
  }
  return encode_frame(kListeningType, payload);
}

Decoded<Listening> decode_listening(std::string_view payload) {
  Reader in(payload);
  const auto count = in.get<std::uint16_t>();
  if (count > kMaxListening) {
    return std::unexpected(DecodeError::kTooMany);
  }
  Listening message;
  for (std::uint16_t i = 0; i < count; ++i) {
    Decoded<ListeningSocket> socket = decode_socket(in);
    if (!socket) {
      return std::unexpected(socket.error());
    }
    message.sockets.push_back(std::move(*socket));
  }
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return message;
}

std::string encode(const Stats& message) {
  std::string payload;
  put_all(payload, message.load_centi);
  put_all(payload, message.memory);
  put(payload, message.files_open);
  put(payload, message.files_limit);
  put_rows(payload, message.cpus);
  put_rows(payload, message.disks);
  put_rows(payload, message.networks);
  put_rows(payload, message.filesystems);
  return encode_frame(kStatsType, payload);
}

Decoded<Stats> decode_stats(std::string_view payload) {
  Reader in(payload);
  Stats message;
  get_all(in, message.load_centi);
  get_all(in, message.memory);
  message.files_open = in.get<std::uint64_t>();
  message.files_limit = in.get<std::uint64_t>();
  const bool bounded = get_rows(in, message.cpus) && get_rows(in, message.disks) &&
                       get_rows(in, message.networks) && get_rows(in, message.filesystems);
  if (!bounded) {
    return std::unexpected(DecodeError::kTooMany);
  }
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return message;
}

}  // namespace perigee::channel
