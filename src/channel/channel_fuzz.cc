// Fuzz target: both decoders of the control channel on any bytes, in pieces of any size. The first
// byte chooses the piece; the rest is the stream. What decodes must encode and decode to itself.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <variant>

#include "channel/codec.h"
#include "channel/decoder.h"

namespace {

using namespace perigee::channel;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void check_guest_message(const GuestMessage& message) {
  const std::string bytes = std::visit([](const auto& value) { return encode(value); }, message);
  HostDecoder decoder(7);
  decoder.feed(guest_preamble(7) + bytes);
  const auto again = decoder.next();
  require(again && *again && **again == message);
}

void check_host_message(const HostMessage& message) {
  const std::string bytes = std::visit([](const auto& value) { return encode(value); }, message);
  // An argument may hold the host's magic: such a stream is cut there by design.
  if (bytes.find(kHostMagic, 1) != std::string::npos) {
    return;
  }
  GuestDecoder decoder;
  if (!std::holds_alternative<Attach>(message)) {
    decoder.feed(encode(Attach{}));
    require(decoder.next().has_value());
  }
  decoder.feed(bytes);
  // A message that ends as the magic begins is held back until the next byte.
  decoder.feed(std::string_view("\0", 1));
  const auto again = decoder.next();
  require(again && *again == message);
}

void run_host(std::string_view stream, std::size_t piece) {
  HostDecoder decoder(7);
  decoder.feed(guest_preamble(7));
  while (!stream.empty()) {
    decoder.feed(stream.substr(0, piece));
    stream.remove_prefix(std::min(piece, stream.size()));
    while (true) {
      const auto message = decoder.next();
      if (!message) {
        return;
      }
      if (!*message) {
        break;
      }
      check_guest_message(**message);
    }
  }
}

void run_guest(std::string_view stream, std::size_t piece) {
  GuestDecoder decoder;
  decoder.feed(encode(Attach{}));
  while (!stream.empty()) {
    decoder.feed(stream.substr(0, piece));
    stream.remove_prefix(std::min(piece, stream.size()));
    while (const auto message = decoder.next()) {
      check_host_message(*message);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string stream(data + 1, data + size);
  const std::size_t piece = data[0] == 0 ? stream.size() + 1 : data[0];
  run_host(stream, piece);
  run_guest(stream, piece);
  return 0;
}
