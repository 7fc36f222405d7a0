#include "init/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "init/command.h"

namespace perigee::init {
namespace {

constexpr rlim_t kOpenFiles = 10240;
constexpr int kPipeBytes = 256 * 1024;

// All that the child needs, made before fork so that it only makes system calls.
struct Plan {
  User user;
  std::string program;
  std::vector<char*> argv;
  std::vector<std::string> env_strings;
  std::vector<char*> env;
};

FileKind kind_of(const std::string& file) {
  struct stat status{};
  if (stat(file.c_str(), &status) != 0) {
    return FileKind::kMissing;
  }
  if (S_ISDIR(status.st_mode)) {
    return FileKind::kDirectory;
  }
  return (status.st_mode & 0111) != 0 ? FileKind::kExecutable : FileKind::kNotExecutable;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> list;
  for (const std::string& text : strings) {
    list.push_back(const_cast<char*>(text.c_str()));
  }
  list.push_back(nullptr);
  return list;
}

Status enter_directory(const std::string& directory, Workdir workdir) {
  if (directory.front() != '/') {
    return fail("working directory \"" + directory + "\": not absolute; fix the image's WORKDIR");
  }
  if (workdir == Workdir::kMade) {
    if (auto made = make_directories(directory); !made) {
      return made;
    }
  }
  if (chdir(directory.c_str()) != 0) {
    return fail_errno("working directory " + directory, errno, "fix the image's WORKDIR");
  }
  return {};
}

Result<Plan> make_plan(const Command& command) {
  Plan plan;
  auto user = app_user(command.user);
  if (!user) {
    return std::unexpected(user.error());
  }
  plan.user = std::move(*user);
  const std::string directory = command.directory.empty() ? "/" : command.directory;
  if (auto entered = enter_directory(directory, command.workdir); !entered) {
    return std::unexpected(entered.error());
  }
  plan.env_strings = complete_environment(command.env, plan.user.home);
  plan.env = pointers(plan.env_strings);
  plan.argv = pointers(command.argv);
  auto program = find_program(command.argv.empty() ? "" : command.argv.front(),
                              environment_value(plan.env_strings, "PATH"), kind_of);
  if (!program) {
    return std::unexpected(program.error());
  }
  plan.program = std::move(*program);
  return plan;
}

struct Pipe {
  Fd read;
  Fd write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return fail_errno("pipe", errno, "");
  }
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

void reset_signals() {
  for (int signo = 1; signo < NSIG; ++signo) {
    signal(signo, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Both sides of a process's standard streams.
struct Streams {
  Child ours;
  Fd in;  // the child's
  Fd out;
  Fd err;  // empty: the same as out
  bool terminal = false;
};

Result<Streams> open_terminal_streams(const Command& command) {
  Result<Terminal> terminal = open_terminal(*command.terminal, command.newlines);
  if (!terminal) {
    return std::unexpected(terminal.error());
  }
  Streams streams;
  streams.terminal = true;
  if (command.input == Input::kPipe) {
    streams.ours.in = Fd(fcntl(terminal->master.get(), F_DUPFD_CLOEXEC, 0));
  }
  streams.ours.out = std::move(terminal->master);
  streams.in = Fd(fcntl(terminal->slave.get(), F_DUPFD_CLOEXEC, 0));
  streams.out = std::move(terminal->slave);
  return streams;
}

Result<Streams> open_pipes(const Command& command) {
  const auto exhausted = [] { return fail("pipe: the machine has no memory left; give it more"); };
  Streams streams;
  if (command.input == Input::kPipe) {
    Result<Pipe> in = make_pipe();
    if (!in) {
      return exhausted();
    }
    streams.in = std::move(in->read);
    streams.ours.in = std::move(in->write);
    fcntl(streams.ours.in.get(), F_SETFL, O_NONBLOCK);
  } else {
    streams.in = Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  Result<Pipe> out = make_pipe();
  Result<Pipe> err = make_pipe();
  if (!out || !err || !streams.in) {
    return exhausted();
  }
  fcntl(out->write.get(), F_SETPIPE_SZ, kPipeBytes);
  streams.ours.out = std::move(out->read);
  streams.ours.err = std::move(err->read);
  fcntl(streams.ours.out.get(), F_SETFL, O_NONBLOCK);
  fcntl(streams.ours.err.get(), F_SETFL, O_NONBLOCK);
  streams.out = std::move(out->write);
  streams.err = std::move(err->write);
  return streams;
}

// In the child; returns errno of the step that failed.
int become(const Plan& plan, const Streams& streams) {
  reset_signals();
  setsid();
  if (streams.terminal && ioctl(streams.out.get(), TIOCSCTTY, 0) != 0) {
    return errno;
  }
  const int err = streams.err ? streams.err.get() : streams.out.get();
  if (dup2(streams.in.get(), 0) < 0 || dup2(streams.out.get(), 1) < 0 || dup2(err, 2) < 0) {
    return errno;
  }
  const rlimit files{kOpenFiles, kOpenFiles};
  setrlimit(RLIMIT_NOFILE, &files);
  // The streams belong to the app: one that opens /dev/stderr again as its own user must succeed.
  if (fchown(1, plan.user.uid, plan.user.gid) != 0 ||
      fchown(2, plan.user.uid, plan.user.gid) != 0) {
    return errno;
  }
  // SAFETY: groups before gid before uid: afterwards there is no right left to change them.
  if (setgroups(plan.user.groups.size(), plan.user.groups.data()) != 0 ||
      setresgid(plan.user.gid, plan.user.gid, plan.user.gid) != 0 ||
      setresuid(plan.user.uid, plan.user.uid, plan.user.uid) != 0) {
    return errno;
  }
  execve(plan.program.c_str(), plan.argv.data(), plan.env.data());
  return errno;
}

}  // namespace

Result<User> app_user(std::string_view spec) {
  return resolve_user(spec, read_file("/etc/passwd").value_or(""),
                      read_file("/etc/group").value_or(""));
}

Result<Child> spawn(const Command& command) {
  const Result<Plan> plan = make_plan(command);
  if (!plan) {
    return std::unexpected(plan.error());
  }
  Result<Streams> streams = command.terminal ? open_terminal_streams(command) : open_pipes(command);
  if (!streams) {
    return std::unexpected(streams.error());
  }
  Result<Pipe> report = make_pipe();
  if (!report) {
    return std::unexpected(report.error());
  }
  const pid_t pid = fork();
  if (pid < 0) {
    return fail_errno("fork", errno, "give the machine more memory");
  }
  if (pid == 0) {
    const int error = become(*plan, *streams);
    if (write(report->write.get(), &error, sizeof error) < 0) {
      _exit(126);
    }
    _exit(127);
  }
  report->write.reset();
  int error = 0;
  // End of file without a byte: execve has closed the pipe, the process runs.
  if (read(report->read.get(), &error, sizeof error) == sizeof error) {
    waitpid(pid, nullptr, 0);
    return fail(exec_failure(plan->program, error));
  }
  streams->ours.pid = pid;
  return std::move(streams->ours);
}

}  // namespace perigee::init
