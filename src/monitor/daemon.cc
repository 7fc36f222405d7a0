#include "monitor/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace perigee::monitor {
namespace {

constexpr std::string_view kSuccess = "ok";
constexpr off_t kMaxLog = off_t{256} * 1024;

[[noreturn]] void wait_for_child(const sys::Fd& from) {
  std::string words;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t n = ::read(from.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    words.append(buffer.data(), static_cast<std::size_t>(n));
  }
  if (words == kSuccess) ::_exit(0);
  if (words.empty()) words = "the monitor died while starting";
  words += '\n';
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, words.data(), words.size());
  ::_exit(1);
}

// A VM that is booted again and again would let it grow without end.
void set_aside_if_large(const std::string& log) {
  struct stat info{};
  if (::stat(log.c_str(), &info) < 0 || info.st_size < kMaxLog) return;
  ::rename(log.c_str(), (log + ".old").c_str());
}

Result<void> redirect(const std::string& log) {
  TRY(const sys::Fd null, sys::own(::open("/dev/null", O_RDONLY | O_CLOEXEC), "open /dev/null"));
  set_aside_if_large(log);
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  TRY(const sys::Fd file, sys::own(::open(log.c_str(), flags, 0600), "open " + log));
  ::dup2(null.get(), STDIN_FILENO);
  ::dup2(file.get(), STDOUT_FILENO);
  ::dup2(file.get(), STDERR_FILENO);
  return {};
}

}  // namespace

void Readiness::tell(std::string_view text) {
  [[maybe_unused]] const ssize_t n = ::write(fd_.get(), text.data(), text.size());
  fd_.reset();
}
void Readiness::succeeded() {
  tell(kSuccess);
}
void Readiness::failed(std::string_view why) {
  tell(why);
}

Result<Readiness> become_daemon(const std::string& directory, const std::string& log) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return fail(errno_error(errno, "pipe"));
  const sys::Fd from(ends[0]);
  sys::Fd to(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return fail(errno_error(errno, "fork"));
  if (pid > 0) {
    to.reset();
    wait_for_child(from);
  }
  ::setsid();
  ::umask(077);
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE}) ::signal(number, SIG_IGN);
  Readiness readiness(std::move(to));
  if (::chdir(directory.c_str()) < 0) {
    readiness.failed(errno_error(errno, "enter " + directory).context);
    ::_exit(1);
  }
  if (const auto done = redirect(log); !done) {
    readiness.failed(done.error().context);
    ::_exit(1);
  }
  return readiness;
}

}  // namespace perigee::monitor
