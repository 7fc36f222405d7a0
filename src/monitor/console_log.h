// ConsoleLog: the guest's serial console (its kernel's last words) in `console.log`, and
// `console.1.log` once that was full. What a full disk refuses is dropped.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "sys/fd.h"

namespace perigee::monitor {

inline constexpr std::size_t kMaxConsoleLog = std::size_t{256} * 1024;  // of each of the two files

class ConsoleLog {
 public:
  static Result<ConsoleLog> open(std::string directory, std::size_t max_bytes = kMaxConsoleLog);

  void append(std::string_view bytes);
  // The last line with letters in it, cut to a sensible length; "" when the console was silent.
  std::string last_line() const;

 private:
  ConsoleLog(std::string directory, std::size_t max_bytes)
      : directory_(std::move(directory)), max_bytes_(max_bytes) {}
  void rotate();

  std::string directory_;
  std::size_t max_bytes_;
  sys::Fd file_;
  std::size_t size_ = 0;
  std::string tail_;
};

}  // namespace perigee::monitor
