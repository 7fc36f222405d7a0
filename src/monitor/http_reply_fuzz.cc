// Whatever a VMM's API socket sends, the reader gives replies or an error, whichever way it is cut.
#include <cstdint>
#include <cstdlib>

#include "monitor/http_reply.h"

namespace {

using namespace perigee::monitor;

struct Outcome {
  std::string bodies;
  bool failed = false;
  bool operator==(const Outcome&) const = default;
};

Outcome read_all(std::string_view bytes, std::size_t step) {
  HttpReplyReader reader;
  Outcome outcome;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    reader.feed(bytes.substr(at, step));
    while (true) {
      const auto reply = reader.next();
      if (!reply) {
        outcome.failed = true;
        return outcome;
      }
      if (!*reply) break;
      outcome.bodies += (*reply)->body + "|";
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!(read_all(bytes, 7) == read_all(bytes, 1))) std::abort();
  return 0;
}
