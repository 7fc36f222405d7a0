#include "base/log.h"

#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <string>

#include "base/time.h"

namespace perigee {
namespace {

constexpr std::size_t kMaxLine = 4096;
constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warning", "error"};
std::atomic<LogLevel> minimum{LogLevel::info};

}  // namespace

void set_log_level(LogLevel level) {
  minimum.store(level, std::memory_order_relaxed);
}

bool log_enabled(LogLevel level) {
  return level >= minimum.load(std::memory_order_relaxed);
}

void write_log(LogLevel level, std::string_view module, std::string_view message) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const WallTime wall{now.tv_sec * 1'000'000'000 + now.tv_nsec};
  std::string line =
      fmt::format("{} {} {}: {}", to_rfc3339(wall), kNames.at(static_cast<std::size_t>(level)),
                  module, message.substr(0, kMaxLine));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  line.push_back('\n');
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace perigee
