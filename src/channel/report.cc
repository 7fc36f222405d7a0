// The codec of what a guest reports when it is asked. A count, then as many entries; the guest may
// lie, so every count and length has a bound of limits.h.
#include <algorithm>
#include <utility>

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

}  // namespace perigee::channel
