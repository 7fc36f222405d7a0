#include "bin/role.h"

#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "async/combine.h"
#include "base/log.h"

namespace perigee::bin {
namespace {

async::Task<void> note_end(async::Task<Result<void>> role, std::optional<Result<void>>& end) {
  end = co_await std::move(role);
}

async::Task<void> note_signal(sys::PosixHost& host, int& number) {
  number = co_await host.wait_for_signal({SIGTERM, SIGINT});
}

}  // namespace

Result<std::vector<std::unique_ptr<sys::Listener>>> RoleContext::take_listeners(
    const std::string& name) {
  std::vector<std::unique_ptr<sys::Listener>> out;
  for (auto [at, end] = listeners.equal_range(name); at != end; ++at) {
    TRY(std::unique_ptr<sys::Listener> listener, host.adopt_listener(std::move(at->second)));
    out.push_back(std::move(listener));
  }
  listeners.erase(name);
  return out;
}

Result<std::unique_ptr<sys::Listener>> RoleContext::take_listener(const std::string& name) {
  TRY(auto all, take_listeners(name));
  if (all.size() != 1) {
    return fail(Code::invalid_argument,
                "expected one listener '{}', got {} (roles are started by `perigeed`)", name,
                all.size());
  }
  return std::move(all.front());
}

Result<void> run_until_terminated(sys::PosixHost& host, async::Task<Result<void>> role) {
  std::optional<Result<void>> end;
  int number = 0;
  host.loop().run(
      async::first_of(host.loop(), note_end(std::move(role), end), note_signal(host, number)));
  if (end) return *std::move(end);
  log_info("perigeed", "ending on signal {}", number);
  return {};
}

Result<void> drop_privileges(uid_t uid, gid_t gid) {
  if (::geteuid() != 0) return {};
  if (::setgroups(0, nullptr) < 0 || ::setresgid(gid, gid, gid) < 0 ||
      ::setresuid(uid, uid, uid) < 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
    return fail(errno_error(errno, fmt::format("become user {}", uid)));
  }
  if (::setuid(0) == 0) return fail(Code::internal, "user {} could become root again", uid);
  return {};
}

}  // namespace perigee::bin
