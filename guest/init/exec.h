// Processes beside the app, started by the host: a console, or one command. Each is a session with
// an id of the host's; its input and output pass through windows of kExecWindow bytes, so that a
// client that reads slowly holds up neither the app's output nor other sessions.
//
// A session ends with its process (what that has left running goes on), or with its client: then
// everything in its process session is killed. None of them keeps the machine alive.
// Owned by Supervisor, which polls its descriptors; one thread.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "channel/limits.h"
#include "channel/types.h"
#include "init/session.h"
#include "init/spawn.h"

namespace perigee::init {

class Execs {
 public:
  static constexpr std::size_t kMaxPolled = channel::kMaxExecSessions * 3;

  explicit Execs(Session& session) : session_(session) {}

  // The app runs: its environment, user and directory are the sessions' defaults.
  void app_started(const channel::Configure& app);
  // The app has ended, and every other process with it.
  void app_ended() { app_runs_ = false; }

  // Messages that are not for a session are ignored.
  void handle(const channel::HostMessage& message);
  // A child of init has ended. Whichever it was.
  void child_ended(pid_t pid, int status);
  // The host is gone, or another has come.
  void close_all();

  // What to poll for, three entries per session; `serve` takes the same entries after poll().
  std::span<pollfd> watch(std::span<pollfd, kMaxPolled> into) const;
  void serve(std::span<const pollfd> polled);

 private:
  struct Exec {
    std::uint32_t id = 0;
    Child child;
    bool terminal = false;
    std::size_t credit = channel::kExecWindow;  // output that may be sent
    std::string input;                          // not yet taken by the process
    bool input_ends = false;
    bool ended = false;
    channel::ExecExited exit;
  };

  void start(const channel::Exec& message);
  Result<Child> spawn_for(const channel::Exec& message) const;
  void take_input(Exec& exec, const channel::ExecInput& message);
  void write_input(Exec& exec);
  void read_output(Exec& exec, Fd& from, channel::Stream stream);
  void send_rest(Exec& exec);
  void drop_finished();
  void close(std::uint32_t id);
  bool may_send(const Exec& exec) const { return exec.credit > 0 && session_.takes_unkept(); }
  Exec* find(std::uint32_t id);

  Session& session_;
  bool app_runs_ = false;
  std::vector<std::string> env_;
  std::string user_;
  std::string directory_;
  std::vector<Exec> execs_;
};

}  // namespace perigee::init
