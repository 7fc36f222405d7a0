#include "sys/fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace perigee::sys {

void Fd::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<Fd> own(int fd, std::string_view what) {
  if (fd < 0) return fail(errno_error(errno, what));
  return Fd(fd);
}

Result<void> set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    return fail(errno_error(errno, "fcntl"));
  }
  return {};
}

Result<void> set_cloexec(int fd, CloseOnExec on) {
  if (::fcntl(fd, F_SETFD, on == CloseOnExec::yes ? FD_CLOEXEC : 0) < 0) {
    return fail(errno_error(errno, "fcntl"));
  }
  return {};
}

Result<Fd> duplicate(int fd) {
  return own(::fcntl(fd, F_DUPFD_CLOEXEC, 0), "duplicate descriptor");
}

}  // namespace perigee::sys
