// Turning a command into a background process whose parent waits for its first word.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "sys/fd.h"

namespace perigee::monitor {

// The background process's line to the command that started it.
class Readiness {
 public:
  explicit Readiness(sys::Fd fd) : fd_(std::move(fd)) {}
  void succeeded();
  void failed(std::string_view why);

 private:
  void tell(std::string_view text);
  sys::Fd fd_;
};

// Forks. The parent never returns: it exits with 0 once the child reports success, or prints the
// child's words and exits with 1. The child is in a session of its own, with `directory` as its
// working directory, output to `log` there, files and sockets for its user alone, and deaf to the
// signals that end a terminal's or a service's processes: a monitor ends with its VM.
Result<Readiness> become_daemon(const std::string& directory, const std::string& log);

}  // namespace perigee::monitor
