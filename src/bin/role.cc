#include "bin/role.h"

#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
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

// This thread has CAP_NET_BIND_SERVICE and no other capability. Below 0: errno says why.
long keep_low_ports() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  sets[0].effective = sets[0].permitted = 1U << CAP_NET_BIND_SERVICE;
  return ::syscall(SYS_capset, &header, sets.data());
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

Result<std::vector<std::unique_ptr<sys::Datagrams>>> RoleContext::take_datagrams(
    const std::string& name) {
  std::vector<std::unique_ptr<sys::Datagrams>> out;
  for (auto [at, end] = listeners.equal_range(name); at != end; ++at) {
    TRY(std::unique_ptr<sys::Datagrams> socket, host.adopt_datagrams(std::move(at->second)));
    out.push_back(std::move(socket));
  }
  listeners.erase(name);
  return out;
}

Result<std::vector<sys::IpPrefix>> prefixes_of(const std::vector<std::string>& texts) {
  std::vector<sys::IpPrefix> out;
  for (const std::string& text : texts) {
    TRY(const sys::IpPrefix prefix, sys::IpPrefix::parse(text));
    out.push_back(prefix);
  }
  return out;
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

Result<void> drop_privileges(uid_t uid, gid_t gid, Keep keep) {
  if (::geteuid() != 0) return {};
  const bool keeps = keep == Keep::low_ports;
  if (::setgroups(0, nullptr) < 0 || ::setresgid(gid, gid, gid) < 0 ||
      ::prctl(PR_SET_KEEPCAPS, keeps ? 1 : 0, 0, 0, 0) < 0 || ::setresuid(uid, uid, uid) < 0 ||
      (keeps && keep_low_ports() < 0) || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
    return fail(errno_error(errno, fmt::format("become user {}", uid)));
  }
  if (::setuid(0) == 0) return fail(Code::internal, "user {} could become root again", uid);
  return {};
}

}  // namespace perigee::bin
