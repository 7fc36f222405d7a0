#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <ranges>
#include <thread>
#include <utility>

#include "async/combine.h"
#include "base/log.h"
#include "supervisor/listeners.h"
#include "supervisor/pid_file.h"
#include "supervisor/prefix_sockets.h"
#include "supervisor/successor.h"

namespace perigee::supervisor {
namespace {

constexpr int kBacklog = 4096;
constexpr Duration kMaxBackoff = 1s;
constexpr Duration kStable = 10s;   // a role that ran this long starts with no back-off
constexpr Duration kNewcomer = 3s;  // from a role's fork to its pid file
constexpr Duration kNewcomerPause = 20ms;
constexpr std::uintmax_t kMaxLogBytes = 64 * 1024 * 1024;

// Of a process that still serves beside its successor.
std::string predecessor_path(const std::string& run_directory, std::string_view name) {
  return pid_path(run_directory, fmt::format("{}.predecessor", name));
}

// There while a role is being started: between the fork and its pid file.
std::string starting_path(const std::string& run_directory, std::string_view name) {
  return fmt::format("{}/{}.starting", run_directory, name);
}

// A supervisor that was killed while it started this role has left a process that nobody knows of:
// it says so itself, as soon as it runs (write_pid_file).
void wait_for_newcomer(const std::string& run_directory, std::string_view name) {
  const std::string mark = starting_path(run_directory, name);
  for (Duration waited = 0ms; std::filesystem::exists(mark) && waited < kNewcomer;
       waited += kNewcomerPause) {
    if (read_live_pid(pid_path(run_directory, name))) break;
    std::this_thread::sleep_for(kNewcomerPause);
  }
  ::unlink(mark.c_str());
}

// The role's log for appending; a large one is set aside first.
Result<sys::Fd> open_log(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::file_size(path, ignored) > kMaxLogBytes && !ignored) {
    std::filesystem::rename(path, path + ".1", ignored);
  }
  return sys::own(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640),
                  "open " + path);
}

Result<sys::Fd> open_listener(const ListenerSpec& spec) {
  if (spec.carries == Carries::datagrams) return sys::datagram_socket(spec.address, spec.binding);
  TRY(sys::Fd fd, sys::listen_socket(spec.address, kBacklog, spec.binding));
  if (spec.address.is_unix()) ::chmod(spec.address.host().c_str(), spec.mode);
  return fd;
}

async::Task<Result<sys::ExitStatus>> ended(sys::Process& process) {
  co_return co_await process.wait();
}

async::Task<void> note_end(sys::Process& process, std::optional<sys::ExitStatus>& status) {
  status = co_await process.wait();
}

async::Task<void> sleep_for(async::Loop& loop, Duration time) {
  co_await loop.sleep(time);
}

}  // namespace

struct Supervisor::Role {
  Role(async::Loop& loop, RoleSpec s) : spec(std::move(s)), changed(loop) {}

  RoleSpec spec;
  std::vector<std::string> names;  // of its listeners: those of the spec, then of its prefixes
  std::vector<sys::Fd> listeners;
  std::unique_ptr<sys::Process> process;
  std::uint64_t generation = 0;  // of `process`
  // Still serves what it had before `process` came.
  std::unique_ptr<sys::Process> predecessor;
  bool handing_over = false;  // a successor of `process` is on its way
  async::Notify changed;      // one of these four
  MonotonicTime started;
  Duration backoff = 0s;

  // Until another process has taken the place of that one.
  async::Task<void> replaced(std::uint64_t old) {
    while (generation == old) co_await changed.wait();
  }
};

Supervisor::Supervisor(sys::PosixHost& host, Config config)
    : host_(host), config_(std::move(config)), keepers_(host.loop()) {}

Supervisor::~Supervisor() = default;

Result<void> Supervisor::lock() {
  const std::string path = config_.run_directory + "/perigeed.lock";
  TRY(lock_, sys::own(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open " + path));
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) < 0) {
    return fail(Code::already_exists, "perigeed runs already (process {})",
                running_supervisor(config_.run_directory));
  }
  return write_pid_file(pid_path(config_.run_directory, "perigeed"), ::getpid());
}

Result<void> Supervisor::start() {
  TRY_VOID(lock());
  for (const RoleSpec& spec : config_.roles) {
    roles_.push_back(std::make_unique<Role>(host_.loop(), spec));
    TRY_VOID_AS(take_up(*roles_.back()), spec.name);
  }
  return {};
}

// Adopts the role if it runs with the listeners that are configured; otherwise opens those and
// starts it.
Result<void> Supervisor::take_up(Role& role) {
  for (const ListenerSpec& listener : role.spec.listeners) role.names.push_back(listener.name);
  for (std::string& name : prefix_socket_names(role.spec.prefixes)) {
    role.names.push_back(std::move(name));
  }
  wait_for_newcomer(config_.run_directory, role.spec.name);
  if (adopt(role)) return {};
  for (const ListenerSpec& listener : role.spec.listeners) {
    TRY(sys::Fd fd, open_listener(listener));
    role.listeners.push_back(std::move(fd));
  }
  TRY(auto sockets, open_prefix_sockets(role.spec.prefixes));
  for (auto& [name, fd] : sockets) role.listeners.push_back(std::move(fd));
  return launch(role);
}

// One that runs and can't be adopted is ended. A role may have died when its predecessor had not
// been told yet: then that is the role.
bool Supervisor::adopt(Role& role) {
  auto pid = read_live_pid(pid_path(config_.run_directory, role.spec.name));
  if (!pid) pid = read_live_pid(predecessor_path(config_.run_directory, role.spec.name));
  if (!pid) return false;
  auto copies = copy_listeners_of(*pid, role.names);
  auto process = host_.host().processes.adopt(*pid);
  if (copies && process) {
    log_info("supervisor", "{} adopted (process {})", role.spec.name, *pid);
    role.listeners = *std::move(copies);
    begin(role, *std::move(process));
    adopt_predecessor(role);
    return true;
  }
  log_warning("supervisor", "{} (process {}) can't be adopted, replacing it: {}", role.spec.name,
              *pid, copies ? process.error().context : copies.error().context);
  ::kill(*pid, SIGKILL);
  return false;
}

// What was left by a hand-over whose supervisor did not see the end. It may not have been told.
void Supervisor::adopt_predecessor(Role& role) {
  const std::string path = predecessor_path(config_.run_directory, role.spec.name);
  const auto pid = read_live_pid(path);
  auto process = pid && *pid != role.process->pid()
                     ? host_.host().processes.adopt(*pid)
                     : fail(Code::not_found, "no predecessor of {}", role.spec.name);
  if (process && (*process)->signal(kHandOver)) {
    role.predecessor = *std::move(process);
  } else {
    ::unlink(path.c_str());
  }
}

void Supervisor::begin(Role& role, std::unique_ptr<sys::Process> process) {
  role.process = std::move(process);
  role.started = host_.loop().now();
  ++role.generation;
  role.changed.notify_all();
}

// `log`: its standard output and error.
sys::Spawn Supervisor::spawn_of(const Role& role, const sys::Fd& log) {
  std::vector<NamedDescriptor> ours;
  for (std::size_t i = 0; i < role.listeners.size(); ++i) {
    ours.push_back({role.names[i], role.listeners[i].get()});
  }
  sys::Spawn spawn{.argv = role.spec.argv, .descriptors = {{log.get(), 1}, {log.get(), 2}}};
  spawn.new_session = true;
  // A role that is told to end while it starts ends in order.
  spawn.held_signals = {SIGTERM, kHandOver};
  pass_listeners(spawn, ours);
  return spawn;
}

Result<void> Supervisor::launch(Role& role) {
  TRY(const sys::Fd log, open_log(role.spec.log_path));
  const std::string mark = starting_path(config_.run_directory, role.spec.name);
  TRY_VOID(write_pid_file(mark, ::getpid()));
  TRY(auto process, host_.host().processes.spawn(spawn_of(role, log)));
  begin(role, std::move(process));
  log_info("supervisor", "{} started (process {})", role.spec.name, role.process->pid());
  TRY_VOID(write_pid_file(pid_path(config_.run_directory, role.spec.name), role.process->pid()));
  ::unlink(mark.c_str());
  return {};
}

async::Task<void> Supervisor::run() {
  for (const auto& role : roles_) {
    keepers_.spawn(keep(*role));
    if (role->predecessor) keepers_.spawn(see_off(*role));
  }
  co_await keepers_.drained();
}

async::Task<void> Supervisor::keep(Role& role) {
  for (;;) {
    const std::uint64_t kept = role.generation;
    std::optional<sys::ExitStatus> status;
    co_await async::first_of(host_.loop(), note_end(*role.process, status), role.replaced(kept));
    while (role.handing_over) co_await role.changed.wait();
    if (role.generation != kept || !status) continue;
    const bool stable = host_.loop().now() - role.started > kStable;
    role.backoff = stable ? 0ms : std::min<Duration>(kMaxBackoff, role.backoff * 2 + 50ms);
    log_warning("supervisor", "{} (process {}) ended: {}; starting it again", role.spec.name,
                role.process->pid(), status->str());
    if (role.backoff > 50ms) co_await host_.loop().sleep(role.backoff);
    for (Result<void> launched = launch(role); !launched; launched = launch(role)) {
      log_error("supervisor", "{}: {}", role.spec.name, launched.error().context);
      co_await host_.loop().sleep(kMaxBackoff);
    }
  }
}

// ---- replacing ----

async::Task<Result<void>> Supervisor::replace_all() {
  for (const auto& role : roles_) {
    if (role->spec.drain) {
      CO_TRY_VOID_AS(co_await hand_over(*role), role->spec.name);
    } else {
      co_await restart(*role);
    }
  }
  co_return Result<void>();
}

// keep() starts it again as soon as it has ended.
async::Task<void> Supervisor::restart(Role& role) {
  const std::uint64_t old = role.generation;
  log_info("supervisor", "{} (process {}) is started anew", role.spec.name, role.process->pid());
  std::ignore = role.process->signal(SIGTERM);
  co_await async::first_of(host_.loop(), role.replaced(old),
                           sleep_for(host_.loop(), config_.stop_timeout));
  if (role.generation == old) std::ignore = role.process->signal(SIGKILL);
  co_await role.replaced(old);
}

// A predecessor of its own has to be gone first: there are never more than two.
async::Task<Result<void>> Supervisor::hand_over(Role& role) {
  struct Pending {
    Role& role;
    explicit Pending(Role& r) : role(r) { role.handing_over = true; }
    ~Pending() {
      role.handing_over = false;
      role.changed.notify_all();
    }
  };
  while (role.predecessor) co_await role.changed.wait();
  const Pending pending(role);
  const pid_t old = role.process->pid();
  const std::string pid_file = pid_path(config_.run_directory, role.spec.name);
  const std::string old_pid_file = predecessor_path(config_.run_directory, role.spec.name);
  CO_TRY(const sys::Fd log, open_log(role.spec.log_path));
  CO_TRY_VOID(write_pid_file(old_pid_file, old));
  auto successor = co_await start_successor(host_, spawn_of(role, log));
  const pid_t now = successor ? (*successor)->pid() : old;
  CO_TRY_VOID(write_pid_file(pid_file, now));
  if (!successor) {
    ::unlink(old_pid_file.c_str());
    co_return fail(std::move(successor).error());
  }
  log_info("supervisor", "{} handed over (process {} to {})", role.spec.name, old, now);
  role.predecessor = std::exchange(role.process, nullptr);
  begin(role, *std::move(successor));
  std::ignore = role.predecessor->signal(kHandOver);
  keepers_.spawn(see_off(role));
  co_return Result<void>();
}

async::Task<void> Supervisor::see_off(Role& role) {
  const Duration patience = role.spec.drain.value_or(0s) + config_.stop_timeout;
  const auto end = co_await async::with_deadline(host_.loop(), host_.loop().deadline_in(patience),
                                                 ended(*role.predecessor), role.spec.name);
  if (!end) {
    log_warning("supervisor", "{} (process {}) drained for too long, killing it", role.spec.name,
                role.predecessor->pid());
    std::ignore = role.predecessor->signal(SIGKILL);
    co_await role.predecessor->wait();
  }
  ::unlink(predecessor_path(config_.run_directory, role.spec.name).c_str());
  role.predecessor.reset();
  role.changed.notify_all();
}

// ---- the end ----

async::Task<void> Supervisor::stop() {
  keepers_.cancel_all();
  for (const auto& role : roles_ | std::views::reverse) co_await stop_role(*role);
  for (const auto& role : roles_) {
    for (const ListenerSpec& listener : role->spec.listeners) {
      if (listener.address.is_unix()) ::unlink(listener.address.host().c_str());
    }
    forget_prefixes(role->spec.prefixes);
    ::unlink(pid_path(config_.run_directory, role->spec.name).c_str());
    ::unlink(predecessor_path(config_.run_directory, role->spec.name).c_str());
  }
  ::unlink(pid_path(config_.run_directory, "perigeed").c_str());
}

// A role that has just died is started once more: what it holds in the kernel (a worker's rules,
// interfaces, mounts) only it can take down, and it does so when it ends in order.
async::Task<void> Supervisor::stop_role(Role& role) {
  if (!role.process) co_return;
  if (role.predecessor) co_await end(*role.predecessor, role.spec.name);
  if (!role.process->signal(SIGTERM)) {
    log_warning("supervisor", "{} is gone; starting it so that it ends in order", role.spec.name);
    if (const auto launched = launch(role); !launched) {
      log_error("supervisor", "{}: {}", role.spec.name, launched.error().context);
      co_return;
    }
  }
  co_await end(*role.process, role.spec.name);
}

async::Task<void> Supervisor::end(sys::Process& process, std::string_view name) {
  std::ignore = process.signal(SIGTERM);
  const Deadline deadline = host_.loop().deadline_in(config_.stop_timeout);
  const auto in_time = co_await async::with_deadline(host_.loop(), deadline, ended(process), name);
  if (in_time) co_return;
  log_warning("supervisor", "{} did not stop in time, killing it", name);
  std::ignore = process.signal(SIGKILL);
  co_await process.wait();
}

pid_t running_supervisor(const std::string& run_directory) {
  return read_live_pid(pid_path(run_directory, "perigeed")).value_or(0);
}

}  // namespace perigee::supervisor
