#include "base/time.h"

#include <charconv>
#include <ctime>

namespace perigee {

std::string to_rfc3339(WallTime time) {
  const std::int64_t ms = time.unix_ms();
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     ms % 1000);
}

Result<Duration> parse_duration(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  double seconds = 0;
  if (unit == "ms")
    seconds = number / 1000;
  else if (unit == "s" || unit.empty())
    seconds = number;
  else if (unit == "m")
    seconds = number * 60;
  else if (unit == "h")
    seconds = number * 3600;
  else if (unit == "d")
    seconds = number * 24 * 3600;
  else
    seconds = -1;
  const bool in_range = seconds >= 0 && seconds <= 1e9;  // false for NaN
  if (error != std::errc{} || !in_range) {
    return fail(Code::invalid_argument, "'{}' is not a duration (write 500ms, 5s, 2m, 1h or 90d)",
                text);
  }
  return Duration(static_cast<std::int64_t>(seconds * 1e9));
}

}  // namespace perigee
