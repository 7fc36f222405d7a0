// Any bytes as a chunked body: decoded at once and in pieces (the first byte says how large) it
// comes to the same; and what it decodes to, encoded again, is decoded to the same, trailers too.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "http/codec.h"
#include "http/trailers.h"

namespace {

using namespace perigee::http;

struct Outcome {
  std::string body{};
  Headers trailers{};
  bool failed = false;
  bool done = false;
  std::size_t consumed = 0;
};

Outcome decode(std::string_view text, std::size_t piece) {
  Outcome outcome;
  BodyDecoder decoder({.kind = Framing::Kind::chunked});
  while (outcome.consumed < text.size() && !decoder.done()) {
    const std::string_view window = text.substr(outcome.consumed, piece);
    const auto step = decoder.step(window);
    if (!step) {
      outcome.failed = true;
      return outcome;
    }
    PERIGEE_CHECK(step->consumed > 0 && step->consumed <= window.size());
    outcome.body += step->data;
    outcome.consumed += step->consumed;
  }
  outcome.done = decoder.done();
  outcome.trailers = decoder.trailers();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = decode(text, text.size() + 1);
  const Outcome pieces = decode(text, data[0] % 7 + 1);
  PERIGEE_CHECK(whole.failed == pieces.failed && whole.done == pieces.done);
  if (whole.failed) return 0;
  PERIGEE_CHECK(whole.body == pieces.body && whole.consumed == pieces.consumed);
  PERIGEE_CHECK(whole.trailers.fields() == pieces.trailers.fields());
  std::string encoded;
  if (!whole.body.empty()) append_chunk(encoded, whole.body);
  encoded += last_chunk(whole.trailers);
  const Outcome again = decode(encoded, encoded.size());
  PERIGEE_CHECK(again.done && again.body == whole.body);
  PERIGEE_CHECK(again.trailers.fields() == whole.trailers.fields());
  return 0;
}
