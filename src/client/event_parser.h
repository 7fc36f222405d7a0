// EventParser: server-sent events (WHATWG HTML, section 9.2) from bytes as they come. No I/O.
//
//   parser.feed(bytes);
//   while (auto event = parser.next()) …
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::client {

struct Event {
  std::string type;  // "message" where the stream names none
  std::string data;
  std::string id;  // the last one seen
  bool operator==(const Event&) const = default;
};

class EventParser {
 public:
  // resource_exhausted where one event or line is larger than kMaxEventBytes.
  Result<void> feed(std::string_view bytes);
  std::optional<Event> next();

 private:
  Result<void> take_line(std::string_view line);
  void dispatch();

  std::string line_;
  bool after_cr_ = false;
  bool first_line_ = true;
  Event event_;
  bool has_data_ = false;
  std::deque<Event> ready_;
};

}  // namespace perigee::client
