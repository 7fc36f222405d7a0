#include "client/event_parser.h"

#include <utility>

#include "client/limits.h"

namespace perigee::client {

Result<void> EventParser::feed(std::string_view bytes) {
  for (const char c : bytes) {
    const bool second_of_crlf = c == '\n' && std::exchange(after_cr_, false);
    if (second_of_crlf) continue;
    after_cr_ = c == '\r';
    if (c == '\r' || c == '\n') {
      TRY_VOID(take_line(std::exchange(line_, {})));
    } else if (line_.size() >= kMaxEventBytes) {
      return fail(Code::resource_exhausted, "an event is larger than {} bytes", kMaxEventBytes);
    } else {
      line_ += c;
    }
  }
  return {};
}

std::optional<Event> EventParser::next() {
  if (ready_.empty()) return std::nullopt;
  Event event = std::move(ready_.front());
  ready_.pop_front();
  return event;
}

Result<void> EventParser::take_line(std::string_view line) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (std::exchange(first_line_, false) && line.starts_with(kByteOrderMark))
    line.remove_prefix(kByteOrderMark.size());
  if (line.empty()) {
    dispatch();
    return {};
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == line.npos ? "" : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "event") event_.type = value;
  if (field == "id" && value.find('\0') == value.npos) event_.id = value;
  if (field != "data") return {};
  if (event_.data.size() + value.size() >= kMaxEventBytes)
    return fail(Code::resource_exhausted, "an event is larger than {} bytes", kMaxEventBytes);
  if (std::exchange(has_data_, true)) event_.data += '\n';
  event_.data += value;
  return {};
}

// An event without data is none; its id stays.
void EventParser::dispatch() {
  const std::string id = event_.id;
  if (std::exchange(has_data_, false)) {
    if (event_.type.empty()) event_.type = "message";
    ready_.push_back(std::move(event_));
  }
  event_ = Event{.type = {}, .data = {}, .id = id};
}

}  // namespace perigee::client
