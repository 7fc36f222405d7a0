// Durations and points in time. Monotonic time comes from the loop, wall time from a Clock; neither
// is ever read from the operating system directly outside `sys`.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

// Nanoseconds since an arbitrary start (CLOCK_MONOTONIC, or a simulation's zero).
struct MonotonicTime {
  std::int64_t ns = 0;

  auto operator<=>(const MonotonicTime&) const = default;
  MonotonicTime operator+(Duration d) const { return {ns + d.count()}; }
  Duration operator-(MonotonicTime other) const { return Duration(ns - other.ns); }
};

// Nanoseconds since 1970-01-01 UTC.
struct WallTime {
  std::int64_t ns = 0;

  auto operator<=>(const WallTime&) const = default;
  WallTime operator+(Duration d) const { return {ns + d.count()}; }
  Duration operator-(WallTime other) const { return Duration(ns - other.ns); }
  std::int64_t unix_ms() const { return ns / 1'000'000; }
};

// When an outward call must have ended. Every such call takes one.
struct Deadline {
  MonotonicTime at;
};

// RFC 3339 with milliseconds, UTC: "2026-03-17T09:00:00.000Z".
std::string to_rfc3339(WallTime time);

// "500ms", "5s", "2m", "1h", or a bare number taken as seconds.
Result<Duration> parse_duration(std::string_view text);

inline std::int64_t to_ms(Duration d) {
  return d.count() / 1'000'000;
}
inline double to_seconds(Duration d) {
  return static_cast<double>(d.count()) / 1e9;
}

}  // namespace perigee
