#include "init/exec.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "channel/codec.h"
#include "init/text.h"

namespace perigee::init {
namespace {

using namespace perigee::channel;

constexpr char kEndOfInput = '\x04';  // ^D, as a person ends a terminal's input
constexpr int kKillPasses = 3;        // what forks while it is being killed

// The session of a process by /proc/PID/stat: the fourth field behind the name.
pid_t session_of(const std::string& pid) {
  const Result<std::string> stat = read_file("/proc/" + pid + "/stat");
  if (!stat) {
    return 0;
  }
  const auto fields = words(std::string_view(*stat).substr(stat->rfind(')') + 1));
  return fields.size() > 3 ? static_cast<pid_t>(parse_number(fields[3]).value_or(0)) : 0;
}

// SIGKILL to every process of a session, the background jobs of a shell included.
void kill_session(pid_t leader) {
  bool found = true;
  for (int pass = 0; found && pass < kKillPasses; ++pass) {
    found = false;
    DIR* const directory = opendir("/proc");
    while (const dirent* const entry = directory != nullptr ? readdir(directory) : nullptr) {
      const auto pid = parse_number(entry->d_name);
      if (pid && session_of(entry->d_name) == leader) {
        found = true;
        kill(static_cast<pid_t>(*pid), SIGKILL);
      }
    }
    if (directory != nullptr) {
      closedir(directory);
    }
  }
}

WindowSize size_of(std::uint16_t rows, std::uint16_t cols) {
  return {.rows = rows, .cols = cols};
}

}  // namespace

void Execs::app_started(const Configure& app) {
  app_runs_ = true;
  env_ = app.env;
  user_ = app.user;
  directory_ = app.workdir;
}

Execs::Exec* Execs::find(std::uint32_t id) {
  const auto found = std::ranges::find(execs_, id, &Exec::id);
  return found == execs_.end() ? nullptr : &*found;
}

void Execs::handle(const HostMessage& message) {
  if (const auto* to_start = std::get_if<channel::Exec>(&message)) {
    start(*to_start);
  } else if (const auto* input = std::get_if<ExecInput>(&message)) {
    if (Exec* const exec = find(input->id)) {
      take_input(*exec, *input);
    }
  } else if (const auto* window = std::get_if<ExecResize>(&message)) {
    const Exec* const exec = find(window->id);
    if (exec != nullptr && exec->terminal) {
      resize(exec->child.out, size_of(window->rows, window->cols));
    }
  } else if (const auto* signal = std::get_if<ExecSignal>(&message)) {
    const Exec* const exec = find(signal->id);
    if (exec != nullptr && !exec->ended && signal->signo > 0 && signal->signo < NSIG) {
      kill(-exec->child.pid, static_cast<int>(signal->signo));
    }
  } else if (const auto* taken = std::get_if<ExecOutputCredit>(&message)) {
    if (Exec* const exec = find(taken->id)) {
      exec->credit = std::min(exec->credit + taken->bytes, kExecWindow);
    }
  } else if (const auto* gone = std::get_if<ExecClose>(&message)) {
    close(gone->id);
  }
  drop_finished();
}

void Execs::start(const channel::Exec& message) {
  Result<Child> child = spawn_for(message);
  if (!child) {
    session_.send_unkept(encode(ExecStarted{message.id, 0, child.error().message}));
    return;
  }
  session_.send_unkept(encode(ExecStarted{message.id, static_cast<std::uint32_t>(child->pid), {}}));
  Exec exec;
  exec.id = message.id;
  exec.child = std::move(*child);
  exec.terminal = message.tty;
  execs_.push_back(std::move(exec));
}

Result<Child> Execs::spawn_for(const channel::Exec& message) const {
  if (!app_runs_) {
    return fail("the machine's app does not run; start the machine");
  }
  if (execs_.size() >= kMaxExecSessions) {
    return fail("the machine has " + std::to_string(kMaxExecSessions) +
                " sessions already; end one of them");
  }
  if (std::ranges::find(execs_, message.id, &Exec::id) != execs_.end()) {
    return fail("session " + std::to_string(message.id) + " exists already");
  }
  Command command;
  command.argv = message.argv;
  command.env = env_;
  if (message.tty) {
    command.env.emplace_back("TERM=xterm");
    command.terminal = size_of(message.rows, message.cols);
  }
  command.env.insert(command.env.end(), message.env.begin(), message.env.end());
  command.user = message.user.empty() ? user_ : message.user;
  command.directory = message.workdir.empty() ? directory_ : message.workdir;
  command.workdir = Workdir::kMustExist;
  command.input = Input::kPipe;
  return spawn(command);
}

void Execs::take_input(Exec& exec, const ExecInput& message) {
  if (exec.input.size() + message.bytes.size() > kExecWindow) {
    close(exec.id);  // the host does not keep to the window
    return;
  }
  exec.input += message.bytes;
  exec.input_ends = exec.input_ends || message.eof;
  write_input(exec);
}

void Execs::write_input(Exec& exec) {
  std::size_t taken = 0;
  while (exec.child.in && taken < exec.input.size()) {
    const ssize_t count =
        write(exec.child.in.get(), exec.input.data() + taken, exec.input.size() - taken);
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
      exec.child.in.reset();  // nobody reads any more
    } else if (count <= 0) {
      break;
    } else {
      taken += static_cast<std::size_t>(count);
    }
  }
  if (!exec.child.in) {
    taken = exec.input.size();  // what nobody will read is taken and dropped
  }
  exec.input.erase(0, taken);
  if (taken > 0) {
    session_.send_unkept(encode(ExecInputCredit{exec.id, static_cast<std::uint32_t>(taken)}));
  }
  if (exec.input_ends && exec.input.empty() && exec.child.in) {
    if (exec.terminal && write(exec.child.in.get(), &kEndOfInput, 1) < 0) {
      return;  // full: again when it has room
    }
    exec.child.in.reset();
  }
}

void Execs::read_output(Exec& exec, Fd& from, Stream stream) {
  std::array<char, kMaxExecChunk> buffer;
  const ssize_t count = read(from.get(), buffer.data(), std::min(buffer.size(), exec.credit));
  if (count > 0) {
    exec.credit -= static_cast<std::size_t>(count);
    session_.send_unkept(encode(
        ExecOutput{exec.id, stream, std::string(buffer.data(), static_cast<std::size_t>(count))}));
  } else if (count == 0 || exec.ended || (errno != EAGAIN && errno != EINTR)) {
    from.reset();  // after the process's end: what it had written is sent
  }
}

// The process has ended: what is in its pipes, then how it ended.
void Execs::send_rest(Exec& exec) {
  while (exec.child.out && may_send(exec)) {
    read_output(exec, exec.child.out, Stream::kStdout);
  }
  while (exec.child.err && may_send(exec)) {
    read_output(exec, exec.child.err, Stream::kStderr);
  }
}

void Execs::drop_finished() {
  std::erase_if(execs_, [this](Exec& exec) {
    if (!exec.ended) {
      return false;
    }
    send_rest(exec);
    if (exec.child.out || exec.child.err) {
      return false;
    }
    session_.send_unkept(encode(exec.exit));
    return true;
  });
}

void Execs::child_ended(pid_t pid, int status) {
  const auto found = std::ranges::find_if(
      execs_, [pid](const Exec& exec) { return exec.child.pid == pid && !exec.ended; });
  if (found == execs_.end()) {
    return;
  }
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  found->ended = true;
  found->child.in.reset();
  found->exit.id = found->id;
  found->exit.signal = static_cast<std::uint32_t>(signal);
  found->exit.exit_code = signal != 0 ? 128 + signal : WEXITSTATUS(status);
  drop_finished();
}

void Execs::close(std::uint32_t id) {
  const auto found = std::ranges::find(execs_, id, &Exec::id);
  if (found == execs_.end()) {
    return;
  }
  kill_session(found->child.pid);
  execs_.erase(found);
}

void Execs::close_all() {
  while (!execs_.empty()) {
    close(execs_.front().id);
  }
}

std::span<pollfd> Execs::watch(std::span<pollfd, kMaxPolled> into) const {
  std::size_t count = 0;
  for (const Exec& exec : execs_) {
    const bool reads = may_send(exec);
    const bool writes = !exec.input.empty() || exec.input_ends;
    into[count++] = pollfd{reads ? exec.child.out.get() : -1, POLLIN, 0};
    into[count++] = pollfd{reads ? exec.child.err.get() : -1, POLLIN, 0};
    into[count++] = pollfd{writes ? exec.child.in.get() : -1, POLLOUT, 0};
  }
  return into.first(count);
}

void Execs::serve(std::span<const pollfd> polled) {
  for (std::size_t i = 0; i < execs_.size(); ++i) {
    Exec& exec = execs_[i];
    if (polled[3 * i].revents != 0 && may_send(exec)) {
      read_output(exec, exec.child.out, Stream::kStdout);
    }
    if (polled[3 * i + 1].revents != 0 && may_send(exec)) {
      read_output(exec, exec.child.err, Stream::kStderr);
    }
    if (polled[3 * i + 2].revents != 0) {
      write_input(exec);
    }
  }
  drop_finished();
}

}  // namespace perigee::init
