// Supervisor: keeps the roles of this node running, as separate processes.
//
// It opens every listener and passes it on, so that a connection that arrives while a role restarts
// waits in the queue instead of being refused, and so that a role needs no privilege to bind. A
// role that ends is started again at once, with back-off when it keeps ending. On order all are
// replaced: most by a new start; one that serves users hands over to a successor that runs beside
// it until its connections have ended (docs/decisions/0035-handover.md).
//
// A supervisor that is killed takes nothing down. The next one finds the running roles by their pid
// files, copies their listeners out of them (pidfd_getfd) and watches them as if it had started
// them. docs/decisions/0007-process-model.md says why.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/task_group.h"
#include "base/result.h"
#include "sys/ip_prefix.h"
#include "sys/posix_host.h"

namespace perigee::supervisor {

enum class Carries { streams, datagrams };
struct ListenerSpec {
  std::string name;  // "api", "internal", "http", "https", "tcp", "udp", "backhaul"; may repeat
  sys::Address address;
  mode_t mode = 0600;  // of a Unix socket's path
  sys::Binding binding = sys::Binding::present;
  Carries carries = Carries::streams;
};

struct RoleSpec {
  std::string name;               // "control"
  std::vector<std::string> argv;  // PERIGEE_LISTENERS is added to the environment
  std::vector<ListenerSpec> listeners;
  std::string log_path;  // standard output and error, appended
  // Networks of which it serves every port (prefix_sockets.h).
  std::vector<sys::IpPrefix> prefixes = {};
  // It hands over (kHandOver): for so long it may still serve once its successor does. None: it
  // ends before it is started again.
  std::optional<Duration> drain = std::nullopt;
};

inline constexpr int kHandOver = SIGQUIT;  // what tells a role that its successor serves

struct Config {
  std::string run_directory;    // pid files, the lock
  std::vector<RoleSpec> roles;  // in order of start
  Duration stop_timeout = 60s;  // per role that is told to end, then SIGKILL
};

class Supervisor {
 public:
  Supervisor(sys::PosixHost& host, Config config);
  ~Supervisor();

  // Takes the lock (`already_exists` naming the pid if another supervisor has it), adopts what
  // runs, opens the listeners that nobody holds, starts what is missing.
  Result<void> start();
  // Keeps roles alive until cancelled.
  async::Task<void> run();
  // Beside `run`: every role anew, one after the other, from the program that its `argv` names. An
  // error: that role, and those behind it, are as they were.
  async::Task<Result<void>> replace_all();
  // Ends all roles, last started first: SIGTERM, then SIGKILL after the timeout.
  async::Task<void> stop();

 private:
  struct Role;
  Result<void> lock();
  Result<void> take_up(Role& role);
  bool adopt(Role& role);
  void adopt_predecessor(Role& role);
  Result<void> launch(Role& role);
  static sys::Spawn spawn_of(const Role& role, const sys::Fd& log);
  void begin(Role& role, std::unique_ptr<sys::Process> process);
  async::Task<void> keep(Role& role);
  async::Task<void> restart(Role& role);
  async::Task<Result<void>> hand_over(Role& role);
  async::Task<void> see_off(Role& role);
  async::Task<void> stop_role(Role& role);
  async::Task<void> end(sys::Process& process, std::string_view name);

  sys::PosixHost& host_;
  Config config_;
  sys::Fd lock_;
  std::vector<std::unique_ptr<Role>> roles_;
  async::TaskGroup keepers_;
};

// The pid of the supervisor that holds `run_directory`; 0 when there is none.
pid_t running_supervisor(const std::string& run_directory);

}  // namespace perigee::supervisor
