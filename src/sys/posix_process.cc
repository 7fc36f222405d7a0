#include "sys/posix_process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "async/combine.h"
#include "async/task_group.h"
#include "base/text.h"
#include "sys/posix_stream.h"

namespace perigee::sys {
namespace {

constexpr std::size_t kMaxHelperOutput = 4 * 1024 * 1024;
constexpr std::size_t kMaxPassedDescriptors = 160;
constexpr int kFirstParkedDescriptor = 200;  // above all that are passed

// Everything the child needs, prepared before the fork: between fork and exec nothing may allocate.
struct Image {
  std::string path;
  std::vector<char*> argv;
  std::vector<std::string> env_texts;
  std::vector<char*> env;
  std::optional<ConfinementPlan> confinement;
};

// From the child to its parent, of which it is a copy: where it failed.
struct Failure {
  int error = 0;
  const char* step = nullptr;  // a literal; null: the program itself
};

Result<Image> prepare(const Spawn& spawn) {
  PERIGEE_CHECK(!spawn.argv.empty());
  if (spawn.descriptors.size() > kMaxPassedDescriptors) {
    return fail(Code::resource_exhausted, "{}: more than {} descriptors are to be passed on",
                spawn.argv.front(), kMaxPassedDescriptors);
  }
  Image image;
  TRY(image.path, find_program(spawn.argv.front()));
  for (const std::string& arg : spawn.argv) image.argv.push_back(const_cast<char*>(arg.c_str()));
  image.argv.push_back(nullptr);
  if (spawn.env) {
    for (const auto& [name, value] : *spawn.env) image.env_texts.push_back(name + "=" + value);
    for (std::string& text : image.env_texts) image.env.push_back(text.data());
    image.env.push_back(nullptr);
  }
  if (spawn.confinement) {
    TRY(image.confinement, ConfinementPlan::make(*spawn.confinement));
  }
  return image;
}

[[noreturn]] void give_up(int report, const char* step = nullptr) {
  const Failure failure{.error = errno, .step = step};
  [[maybe_unused]] const ssize_t n = ::write(report, &failure, sizeof failure);
  ::_exit(127);
}

// In the child. Sources are parked above all targets first, so that no dup2 overwrites one.
void place_descriptors(const Spawn& spawn, int& report) {
  report = ::fcntl(report, F_DUPFD_CLOEXEC, kFirstParkedDescriptor);
  std::array<int, kMaxPassedDescriptors> parked{};
  bool has_stdin = false;
  std::size_t count = 0;
  for (const auto& [from, to] : spawn.descriptors) {
    parked[count++] = ::fcntl(from, F_DUPFD_CLOEXEC, kFirstParkedDescriptor);
    has_stdin = has_stdin || to == 0;
  }
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  for (std::size_t i = 0; i < count; ++i) {
    if (parked[i] < 0 || ::dup2(parked[i], spawn.descriptors[i].second) < 0) give_up(report);
  }
  if (has_stdin) return;
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0) ::dup2(null, 0);
}

void reset_signals(const std::vector<int>& held) {
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP) ::signal(number, SIG_DFL);
  }
  sigset_t mask;
  ::sigemptyset(&mask);
  for (const int number : held) ::sigaddset(&mask, number);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

// SAFETY: runs between fork and exec; only async-signal-safe calls.
[[noreturn]] void become(const Spawn& spawn, const Image& image, int report) {
  place_descriptors(spawn, report);
  reset_signals(spawn.held_signals);
  if (spawn.new_session) ::setsid();
  if (!spawn.directory.empty() && ::chdir(spawn.directory.c_str()) < 0) give_up(report);
  if (spawn.max_open_files > 0) {
    const rlimit limit{static_cast<rlim_t>(spawn.max_open_files),
                       static_cast<rlim_t>(spawn.max_open_files)};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (spawn.user) {
    if (::setgroups(0, nullptr) < 0 || ::setgid(spawn.user->second) < 0 ||
        ::setuid(spawn.user->first) < 0) {
      give_up(report);
    }
  }
  if (image.confinement) {
    if (const char* failed = image.confinement->apply()) give_up(report, failed);
  }
  ::execve(image.path.c_str(), image.argv.data(), spawn.env ? image.env.data() : environ);
  give_up(report);
}

// A child in namespaces of its own where it is to be confined. SAFETY: the raw call skips what a C
// library does around fork(2); the child makes system calls alone until it is another program.
pid_t fork_for(const Image& image) {
  if (!image.confinement) return ::fork();
  const auto flags = static_cast<unsigned long>(image.confinement->namespaces() | SIGCHLD);
  return static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr));
}

enum class Relation { child, stranger };

class PosixProcess : public Process {
 public:
  PosixProcess(EpollPort& port, async::Loop& loop, pid_t pid, Fd pidfd, Relation relation)
      : pid_(pid),
        pidfd_(std::move(pidfd)),
        watch_(port, loop, pidfd_.get()),
        relation_(relation) {}

  pid_t pid() const override { return pid_; }

  async::Task<ExitStatus> wait() override {
    while (!ended()) co_await watch_.readable();
    co_return *status_;
  }

  Result<void> signal(int number) override {
    if (ended()) return fail(Code::not_found, "process {} has ended", pid_);
    if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0) < 0) {
      return fail(errno_error(errno, fmt::format("signal process {}", pid_)));
    }
    return {};
  }

 private:
  bool ended() {
    if (status_) return true;
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) < 0) {
      if (relation_ == Relation::stranger) return stranger_ended();
      status_ = ExitStatus{};  // reaped elsewhere
    } else if (info.si_pid != 0) {
      const bool exited = info.si_code == CLD_EXITED;
      status_ = ExitStatus{exited ? ExitStatus::Kind::exited : ExitStatus::Kind::signaled,
                           info.si_status};
    }
    return status_.has_value();
  }
  // A pidfd is readable once its process has ended; a stranger's exit status is not ours to read.
  // (It may be our child: of the program that this process was before, see exec(3).)
  bool stranger_ended() {
    pollfd poll_fd{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&poll_fd, 1, 0) == 0) return false;
    status_ = ExitStatus{};
    return true;
  }

  pid_t pid_;
  Fd pidfd_;
  FdWatch watch_;
  Relation relation_;
  std::optional<ExitStatus> status_;
};

// One end for us (non-blocking), one for the child.
struct Pipe {
  Fd ours;
  Fd theirs;
};

enum class Flow { to_child, from_child };

Result<Pipe> open_pipe(Flow flow) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return fail(errno_error(errno, "pipe"));
  Fd reader(ends[0]);
  Fd writer(ends[1]);
  Pipe pipe{};
  pipe.ours = flow == Flow::to_child ? std::move(writer) : std::move(reader);
  pipe.theirs = flow == Flow::to_child ? std::move(reader) : std::move(writer);
  TRY_VOID(set_nonblocking(pipe.ours.get()));
  return pipe;
}

async::Task<void> feed(std::unique_ptr<PosixStream> stream, std::string input) {
  // A program that does not read its input is not an error of the program.
  [[maybe_unused]] const auto written = co_await stream->write(input);
}

async::Task<void> drain(std::unique_ptr<PosixStream> stream, std::string& into) {
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    const auto n = co_await stream->read(buffer);
    if (!n || *n == 0) co_return;
    const std::size_t room = kMaxHelperOutput - std::min(kMaxHelperOutput, into.size());
    into.append(buffer.data(), std::min(room, *n));
  }
}

// Kills the helper (and its session) if it is left before its end.
class KillGuard {
 public:
  explicit KillGuard(pid_t pid) : pid_(pid) {}
  ~KillGuard() {
    if (pid_ > 0) {
      ::kill(-pid_, SIGKILL);
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  KillGuard(const KillGuard&) = delete;
  KillGuard& operator=(const KillGuard&) = delete;
  void disarm() { pid_ = 0; }

 private:
  pid_t pid_;
};

class PosixConversation : public Conversation {
 public:
  PosixConversation(std::unique_ptr<Process> process, std::unique_ptr<PosixStream> stream)
      : process_(std::move(process)), stream_(std::move(stream)), guard_(process_->pid()) {}

  Stream& stream() override { return *stream_; }
  async::Task<ExitStatus> wait() override {
    const ExitStatus status = co_await process_->wait();
    guard_.disarm();
    co_return status;
  }

 private:
  std::unique_ptr<Process> process_;
  std::unique_ptr<PosixStream> stream_;
  KillGuard guard_;
};

async::Task<Result<void>> finish(async::TaskGroup& pumps, Process& process, Completed& completed) {
  completed.status = co_await process.wait();
  co_await pumps.drained();
  co_return Result<void>();
}

}  // namespace

Result<std::unique_ptr<Process>> PosixProcesses::spawn(const Spawn& spawn) {
  TRY(const Image image, prepare(spawn));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return fail(errno_error(errno, "pipe"));
  const Fd failed(ends[0]);
  Fd report(ends[1]);
  const pid_t pid = fork_for(image);
  if (pid == 0) become(spawn, image, report.get());
  if (pid < 0) return fail(errno_error(errno, "fork"));
  report.reset();
  Failure failure;
  ssize_t n = 0;
  do {
    n = ::read(failed.get(), &failure, sizeof failure);
  } while (n < 0 && errno == EINTR);
  if (n == sizeof failure) {
    ::waitpid(pid, nullptr, 0);
    std::string what = fmt::format("start {}", image.path);
    if (failure.step != nullptr) what += fmt::format(": {}", failure.step);
    return fail(errno_error(failure.error, what));
  }
  TRY(Fd pidfd, own(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "pidfd_open"));
  return std::make_unique<PosixProcess>(port_, loop_, pid, std::move(pidfd), Relation::child);
}

Result<std::unique_ptr<Conversation>> PosixProcesses::converse(Spawn spawn) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0) {
    return fail(errno_error(errno, "socketpair"));
  }
  Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  TRY_VOID(set_nonblocking(ours.get()));
  for (const int number : {0, 1, 2}) spawn.descriptors.emplace_back(theirs.get(), number);
  spawn.new_session = true;
  TRY(std::unique_ptr<Process> process, this->spawn(spawn));
  return std::make_unique<PosixConversation>(
      std::move(process), std::make_unique<PosixStream>(port_, loop_, std::move(ours)));
}

Result<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  for (const std::string_view directory :
       split(path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path, ':')) {
    const std::string candidate = fmt::format("{}/{}", directory, name);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  // A service's PATH may lack sbin, where mke2fs, nft and others are.
  for (const char* directory : {"/usr/sbin", "/sbin"}) {
    const std::string candidate = fmt::format("{}/{}", directory, name);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return fail(Code::not_found, "{}: no such program in PATH (is it installed?)", name);
}

Result<std::unique_ptr<Process>> PosixProcesses::adopt(pid_t pid) {
  TRY(Fd pidfd, own(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)),
                    fmt::format("find process {}", pid)));
  return std::make_unique<PosixProcess>(port_, loop_, pid, std::move(pidfd), Relation::stranger);
}

async::Task<Result<Completed>> PosixProcesses::run(Spawn spawn, std::string input,
                                                   Deadline deadline) {
  CO_TRY(Pipe in, open_pipe(Flow::to_child));
  CO_TRY(Pipe out, open_pipe(Flow::from_child));
  CO_TRY(Pipe err, open_pipe(Flow::from_child));
  spawn.descriptors.insert(spawn.descriptors.end(),
                           {{in.theirs.get(), 0}, {out.theirs.get(), 1}, {err.theirs.get(), 2}});
  spawn.new_session = true;
  CO_TRY(const std::unique_ptr<Process> process, this->spawn(spawn));
  KillGuard guard(process->pid());
  in.theirs.reset();
  out.theirs.reset();
  err.theirs.reset();
  Completed completed;
  async::TaskGroup pumps(loop_);
  pumps.spawn(
      feed(std::make_unique<PosixStream>(port_, loop_, std::move(in.ours)), std::move(input)));
  pumps.spawn(
      drain(std::make_unique<PosixStream>(port_, loop_, std::move(out.ours)), completed.out));
  pumps.spawn(
      drain(std::make_unique<PosixStream>(port_, loop_, std::move(err.ours)), completed.err));
  CO_TRY_VOID(co_await async::with_deadline(loop_, deadline, finish(pumps, *process, completed),
                                            spawn.argv.front()));
  guard.disarm();
  co_return completed;
}

}  // namespace perigee::sys
