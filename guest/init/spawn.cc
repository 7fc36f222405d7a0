#include "init/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "init/command.h"
#include "init/user.h"

namespace perigee::init {
namespace {

constexpr rlim_t kOpenFiles = 10240;
constexpr int kPipeBytes = 256 * 1024;

// All that the child needs, made before fork so that it only makes system calls.
struct Plan {
  User user;
  std::string workdir;
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

Result<Plan> make_plan(const channel::Configure& configure) {
  Plan plan;
  auto user = resolve_user(configure.user, read_file("/etc/passwd").value_or(""),
                           read_file("/etc/group").value_or(""));
  if (!user) {
    return std::unexpected(user.error());
  }
  plan.user = std::move(*user);
  plan.workdir = configure.workdir.empty() ? "/" : configure.workdir;
  if (plan.workdir.front() != '/') {
    return fail("working directory \"" + plan.workdir +
                "\": not absolute; fix the image's WORKDIR");
  }
  if (auto made = make_directories(plan.workdir); !made) {
    return std::unexpected(made.error());
  }
  if (chdir(plan.workdir.c_str()) != 0) {
    return fail_errno("working directory " + plan.workdir, errno, "fix the image's WORKDIR");
  }
  plan.env_strings = complete_environment(configure.env, plan.user.home);
  plan.env = pointers(plan.env_strings);
  plan.argv = pointers(configure.argv);
  auto program = find_program(configure.argv.empty() ? "" : configure.argv.front(),
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

// In the child; returns errno of the step that failed.
int become(const Plan& plan, int out, int err) {
  reset_signals();
  setsid();
  const int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) {
    return errno;
  }
  if (null > 2) {
    close(null);
  }
  const rlimit files{kOpenFiles, kOpenFiles};
  setrlimit(RLIMIT_NOFILE, &files);
  // The pipes belong to the app: one that opens /dev/stderr again as its own user must succeed.
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

Result<App> spawn(const channel::Configure& configure) {
  const Result<Plan> plan = make_plan(configure);
  if (!plan) {
    return std::unexpected(plan.error());
  }
  Result<Pipe> out = make_pipe();
  Result<Pipe> err = make_pipe();
  Result<Pipe> report = make_pipe();
  if (!out || !err || !report) {
    return fail("pipe: the machine has no memory left; give it more");
  }
  fcntl(out->write.get(), F_SETPIPE_SZ, kPipeBytes);
  const pid_t pid = fork();
  if (pid < 0) {
    return fail_errno("fork", errno, "give the machine more memory");
  }
  if (pid == 0) {
    const int error = become(*plan, out->write.get(), err->write.get());
    if (write(report->write.get(), &error, sizeof error) < 0) {
      _exit(126);
    }
    _exit(127);
  }
  report->write.reset();
  int error = 0;
  // End of file without a byte: execve has closed the pipe, the app runs.
  if (read(report->read.get(), &error, sizeof error) == sizeof error) {
    waitpid(pid, nullptr, 0);
    return fail(exec_failure(plan->program, error));
  }
  fcntl(out->read.get(), F_SETFL, O_NONBLOCK);
  fcntl(err->read.get(), F_SETFL, O_NONBLOCK);
  return App{pid, std::move(out->read), std::move(err->read)};
}

}  // namespace perigee::init
