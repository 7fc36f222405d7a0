// What the supervisor's tests share: a directory, and one role, which is a shell or a script.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "async/task_group.h"
#include "supervisor/pid_file.h"
#include "supervisor/supervisor.h"

namespace perigee::supervisor {

struct Fixture {
  Fixture() : host(*sys::PosixHost::open(1)) {
    std::string pattern = "/tmp/perigee-sup-XXXXXX";
    directory = ::mkdtemp(pattern.data());
  }
  ~Fixture() {
    if (const auto pid = role_pid()) ::kill(*pid, SIGKILL);
    std::filesystem::remove_all(directory);
  }
  // A role as ours are: it takes SIGTERM when it is ready to, and ends in order.
  std::string orderly() const {
    return "exec python3 -c 'import signal; signal.sigwait({signal.SIGTERM}); open(\"" + directory +
           "/in-order\", \"w\")'";
  }
  Config config() const { return config(orderly()); }
  Config config(std::string script) const {
    RoleSpec role{.name = "role",
                  .argv = {"sh", "-c", std::move(script)},
                  .listeners = {{"internal", *sys::Address::unix_path(directory + "/role.sock")}},
                  .log_path = directory + "/role.log"};
    return Config{.run_directory = directory, .roles = {role}, .stop_timeout = 2s};
  }
  std::optional<pid_t> role_pid() const { return read_live_pid(directory + "/role.pid"); }
  // Runs the loop until then. False: the time is over.
  bool wait_for(const std::function<bool()>& condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) host->loop().run(pause(10ms));
    return condition();
  }
  // Runs the loop until the role has a pid other than `old`.
  pid_t wait_for_new_pid(pid_t old) {
    wait_for([&] { return role_pid().value_or(old) != old; });
    return role_pid().value_or(old);
  }
  async::Task<void> pause(Duration d) { co_await host->loop().sleep(d); }

  std::unique_ptr<sys::PosixHost> host;
  std::string directory;
};

}  // namespace perigee::supervisor
