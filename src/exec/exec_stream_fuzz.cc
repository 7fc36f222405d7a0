// Fuzz target: both decoders of the exec stream and the word splitter on any bytes. The first byte
// chooses the piece; the rest is the stream. What decodes must encode and decode to itself.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <variant>

#include "exec/limits.h"
#include "exec/stream.h"
#include "exec/words.h"

namespace {

using namespace perigee::exec;

// JSON replaces bytes that are not UTF-8: such a start comes back changed, and is left out.
template <typename Message>
bool is_exact(const Message& message) {
  return std::holds_alternative<Input>(message) || std::holds_alternative<EndInput>(message) ||
         std::holds_alternative<Resize>(message) || std::holds_alternative<Signal>(message);
}
template <>
bool is_exact(const ServerMessage& message) {
  return !std::holds_alternative<Failed>(message);
}

template <typename Decoder>
void run(std::string_view stream, std::size_t piece) {
  Decoder decoder;
  while (!stream.empty()) {
    decoder.feed(stream.substr(0, piece));
    stream.remove_prefix(std::min(piece, stream.size()));
    for (;;) {
      const auto message = decoder.next();
      if (!message) return;
      if (!*message) break;
      if (!is_exact(**message)) continue;
      Decoder again;
      again.feed(std::visit([](const auto& value) { return encode(value); }, **message));
      const auto same = again.next();
      if (!same || !*same || **same != **message) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string stream(data + 1, data + size);
  const std::size_t piece = data[0] == 0 ? stream.size() + 1 : data[0];
  run<ClientDecoder>(stream, piece);
  run<ServerDecoder>(stream, piece);
  if (const auto words = split_words(stream); words && words->size() > kMaxWords) std::abort();
  return 0;
}
