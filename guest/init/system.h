// Small owners and helpers over system calls: descriptors, files, directories, the clock and the
// console line. Used by every step of init; one thread, no exceptions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "init/result.h"

namespace perigee::init {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();
  void reset();

 private:
  int fd_ = -1;
};

// All of a file; at most 1 MiB of it.
Result<std::string> read_file(const std::string& path);
// Replaces a file, also where the image has a (dangling) symbolic link in its place.
Status replace_file(const std::string& path, std::string_view content);
// Each missing directory of a path, mode 0755, root's.
Status make_directories(std::string_view path);
bool exists(const std::string& path);

std::int64_t monotonic_ms();
void sleep_ms(int ms);

// One line on the serial console: the kernel's last words and ours, never the app's.
void console_line(std::string_view text);

}  // namespace perigee::init
