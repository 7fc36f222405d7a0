#include "init/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "init/text.h"

namespace perigee::init {
namespace {

constexpr int kKilledExitCode = 137;

}  // namespace

pid_t oom_victim(std::string_view line) {
  constexpr std::string_view kMark = "Killed process ";
  const std::size_t at = line.find(kMark);
  if (at == std::string_view::npos) {
    return 0;
  }
  const std::string_view rest = line.substr(at + kMark.size());
  return static_cast<pid_t>(parse_number(rest.substr(0, rest.find(' '))).value_or(0));
}

OomWatch::OomWatch() : log_(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
  if (log_) {
    lseek(log_.get(), 0, SEEK_END);
  }
}

bool OomWatch::killed(pid_t app, int exit_code) {
  char record[2048];
  while (log_) {
    const ssize_t count = read(log_.get(), record, sizeof record);
    if (count < 0 && errno == EPIPE) {
      continue;  // records were overwritten: go on with the next
    }
    if (count <= 0) {
      break;
    }
    const pid_t victim = oom_victim({record, static_cast<std::size_t>(count)});
    if (victim != 0 && (victim == app || exit_code == kKilledExitCode)) {
      return true;
    }
  }
  return false;
}

}  // namespace perigee::init
