// Log lines for the operator, on standard error:
//
//   log_info("worker", "machine {} started in {} ms", id, ms);
//   2026-03-17T09:00:00.000Z info worker: machine 148e… started in 812 ms
//
// One line is one write(2), so that processes may share a file. A line is cut at 4 KiB; control
// characters are replaced, so that input from outside can't forge lines. Nothing confidential is
// ever logged. The only global of the house: where lines go is fixed, only the level can be set.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace perigee {

enum class LogLevel { debug, info, warning, error };

void set_log_level(LogLevel level);
bool log_enabled(LogLevel level);
void write_log(LogLevel level, std::string_view module, std::string_view message);

template <typename... Args>
void log_at(LogLevel level, std::string_view module, fmt::format_string<Args...> format,
            Args&&... args) {
  if (!log_enabled(level)) return;
  write_log(level, module, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_debug(std::string_view module, fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::debug, module, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_info(std::string_view module, fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::info, module, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_warning(std::string_view module, fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::warning, module, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_error(std::string_view module, fmt::format_string<Args...> format, Args&&... args) {
  log_at(LogLevel::error, module, format, std::forward<Args>(args)...);
}

}  // namespace perigee
