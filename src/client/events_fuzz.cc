// Fuzz target: server-sent events, in one piece and byte by byte, give the same.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "client/event_parser.h"

using perigee::client::Event;
using perigee::client::EventParser;

static std::vector<Event> all(EventParser& parser) {
  std::vector<Event> out;
  while (auto event = parser.next()) out.push_back(*std::move(event));
  return out;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  EventParser whole;
  EventParser pieces;
  const bool whole_ok = whole.feed(text).has_value();
  bool pieces_ok = true;
  for (const char c : text) pieces_ok = pieces_ok && pieces.feed({&c, 1}).has_value();
  PERIGEE_CHECK(whole_ok == pieces_ok);
  PERIGEE_CHECK(all(whole) == all(pieces));
  return 0;
}
