#include "bin/reload.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "async/task_group.h"
#include "base/log.h"
#include "base/version.h"
#include "supervisor/reload.h"

namespace perigee::bin {
namespace {

constexpr Duration kReloadTimeout = 300s;
constexpr Duration kReloadPause = 50ms;

// SAFETY: this process goes on as another program, with the same children and number. Descriptors
// are closed by exec, the lock of the run directory with them; signals stay blocked. It returns
// where there is no such program.
Result<void> become(const std::string& program, const std::string& config_file) {
  log_info("perigeed", "becoming {}", program);
  ::execl(program.c_str(), program.c_str(), "--config", config_file.c_str(), nullptr);
  return fail(errno_error(errno, "start " + program));
}

async::Task<void> finish(supervisor::Supervisor& supervisor, std::string run_directory) {
  const Result<void> replaced = co_await supervisor.replace_all();
  if (!replaced) log_error("perigeed", "reload: {}", replaced.error().context);
  if (replaced) log_info("perigeed", "reloaded: {}", kVersion);
  supervisor::finish_reload(run_directory, replaced);
}

// Whoever waits for a reload waits in vain.
void abandon(const std::string& run_directory) {
  if (supervisor::ordered_program(run_directory).empty()) return;
  supervisor::finish_reload(run_directory, fail(Code::cancelled, "perigeed was told to end"));
}

}  // namespace

std::string own_program() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

Result<void> reload_main(const config::Paths& paths) {
  const pid_t pid = supervisor::running_supervisor(paths.run);
  if (pid == 0) return fail(Code::not_found, "perigeed does not run here (perigee up starts it)");
  TRY_VOID(supervisor::order_reload(paths.run, own_program()));
  if (::kill(pid, SIGHUP) < 0) return fail(errno_error(errno, "tell perigeed"));
  for (Duration waited = 0ms; waited < kReloadTimeout; waited += kReloadPause) {
    std::this_thread::sleep_for(kReloadPause);
    if (auto result = supervisor::reload_result(paths.run)) return *std::move(result);
    if (supervisor::running_supervisor(paths.run) == 0) {
      return fail(Code::unavailable,
                  "perigeed has ended, its roles run on: {} says why; then start "
                  "it (perigee up)",
                  paths.log);
    }
  }
  return fail(Code::deadline_exceeded, "perigeed (process {}) is not reloaded after {} s: see {}",
              pid, to_ms(kReloadTimeout) / 1000, paths.log);
}

async::Task<void> live(sys::PosixHost& host, supervisor::Supervisor& supervisor,
                       const config::Paths& paths, const std::string& config_file) {
  const std::string program = own_program();
  async::TaskGroup reloading(host.loop());
  if (!supervisor::ordered_program(paths.run).empty()) {
    reloading.spawn(finish(supervisor, paths.run));
  }
  for (;;) {
    const int number = co_await host.wait_for_signal({SIGTERM, SIGINT, SIGHUP});
    if (number != SIGHUP) {
      log_info("perigeed", "ending on signal {}", number);
      co_return abandon(paths.run);
    }
    if (reloading.size() > 0) {
      log_warning("perigeed", "being reloaded already");
      continue;
    }
    // By a service manager, without `perigeed reload`: then it is the program that runs.
    if (supervisor::ordered_program(paths.run).empty()) {
      std::ignore = supervisor::order_reload(paths.run, program);
    }
    const auto failed = become(supervisor::ordered_program(paths.run), config_file);
    log_error("perigeed", "reload: {}", failed.error().context);
    supervisor::finish_reload(paths.run, failed);
  }
}

}  // namespace perigee::bin
