// Whether the kernel's out-of-memory killer ended the app. Reads the kernel log from the moment the
// watch was made; owned by Supervisor.
#pragma once

#include <sys/types.h>

#include <string_view>

#include "init/system.h"

namespace perigee::init {

// The pid in a kernel log line "... Killed process 123 (name) ..."; 0 when it is another line.
pid_t oom_victim(std::string_view line);

class OomWatch {
 public:
  OomWatch();  // without a kernel log every answer is no

  // Whether it killed the app or, as a shell that waits for its child then ends with 137 itself,
  // any process before the app ended so.
  bool killed(pid_t app, int exit_code);

 private:
  Fd log_;
};

}  // namespace perigee::init
