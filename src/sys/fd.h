// Fd: the one owner of a file descriptor.
#pragma once

#include <string_view>
#include <utility>

#include "base/result.h"

namespace perigee::sys {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// Wraps the result of a system call that returns a descriptor or -1: `own(::open(...), "open x")`.
Result<Fd> own(int fd, std::string_view what);
Result<void> set_nonblocking(int fd);
enum class CloseOnExec { no, yes };
Result<void> set_cloexec(int fd, CloseOnExec on);
Result<Fd> duplicate(int fd);  // close-on-exec

}  // namespace perigee::sys
