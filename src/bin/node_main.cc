#include "bin/node_main.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "async/combine.h"
#include "backhaul/limits.h"
#include "base/log.h"
#include "bin/reload.h"
#include "bin/role.h"
#include "secrets/key_file.h"
#include "supervisor/supervisor.h"

namespace perigee::bin {
namespace {

constexpr Duration kDownTimeout = 120s;
constexpr std::size_t kTokenBytes = 24;

struct Directory {
  std::string path;
  mode_t mode;
  uid_t owner;
};

// State is closed to others but can be walked through: the router's part in it belongs to the
// router.
Result<void> make_directories(const config::Paths& paths, const config::NodeConfig& node) {
  const std::array<Directory, 8> all{{{paths.state, 0711, 0},
                                      {paths.run, 0711, 0},
                                      {paths.log, 0755, 0},
                                      {paths.vm_sockets(), 0700, 0},
                                      {paths.blobs(), 0700, 0},
                                      {paths.disks(), 0755, 0},
                                      {paths.machines(), 0711, 0},
                                      {paths.router_state(), 0700, node.router_uid}}};
  for (const Directory& directory : all) {
    std::error_code error;
    std::filesystem::create_directories(directory.path, error);
    if (error) return fail(errno_error(error.value(), "create " + directory.path));
    if (::chmod(directory.path.c_str(), directory.mode) < 0 ||
        ::chown(directory.path.c_str(), directory.owner, static_cast<gid_t>(-1)) < 0) {
      return fail(errno_error(errno, "set the owner of " + directory.path));
    }
  }
  return {};
}

async::Task<Result<void>> ensure_token(sys::Host& host, std::string path) {
  CO_TRY(const bool there, co_await host.disk.exists(path));
  if (there) co_return Result<void>();
  co_return co_await host.disk.write_file(path, sys::random_hex(host.entropy, kTokenBytes) + "\n",
                                          0600, sys::Durability::synced);
}

async::Task<Result<void>> ensure_secrets(sys::Host& host, config::Paths paths) {
  CO_TRY_VOID(co_await ensure_token(host, paths.token()));
  const std::string ring = paths.key_ring();
  CO_TRY_VOID(co_await host.disk.make_directories(
      std::filesystem::path(ring).parent_path().string(), 0755));
  co_return co_await secrets::KeyFile::ensure(host, ring);
}

Result<void> add_listeners(supervisor::RoleSpec& role, const std::string& name,
                           const std::vector<std::string>& addresses,
                           sys::Binding binding = sys::Binding::present,
                           supervisor::Carries carries = supervisor::Carries::streams) {
  for (const std::string& text : addresses) {
    TRY_AS(const sys::Address address, sys::Address::parse(text), role.name);
    role.listeners.push_back(
        {.name = name, .address = address, .binding = binding, .carries = carries});
  }
  return {};
}

// What users reach. An address of apps may come to this node later than the router.
Result<void> add_users_listeners(supervisor::RoleSpec& role, const config::NodeConfig& node) {
  constexpr auto kComing = sys::Binding::coming;
  TRY_VOID(add_listeners(role, "http", node.http_listen));
  TRY_VOID(add_listeners(role, "https", node.https_listen));
  TRY_VOID(add_listeners(role, "tcp", node.tcp_listen, kComing));
  TRY_VOID(add_listeners(role, "udp", node.udp_listen, kComing, supervisor::Carries::datagrams));
  TRY(role.prefixes, prefixes_of(node.address_prefixes));
  return {};
}

// In a fleet the router serves other nodes' wherever the config does not say: on every address, of
// which it lets only nodes speak to it.
std::vector<std::string> backhaul_of(const config::NodeConfig& node) {
  if (!node.backhaul_listen.empty() || !node.in_fleet) return node.backhaul_listen;
  return {fmt::format("[::]:{}", backhaul::kPort)};
}

Result<supervisor::RoleSpec> role_spec(const std::string& name, const config::Paths& paths,
                                       const config::NodeConfig& node,
                                       const std::string& config_file) {
  supervisor::RoleSpec role{.name = name,
                            .argv = {own_program(), name, "--config", config_file},
                            .listeners = {},
                            .log_path = paths.role_log(name)};
  // Who may say what on control.sock is decided by the peer's user id, not by the path's mode. In a
  // fleet the link serves it, and asks this node's control before others.
  constexpr mode_t kOpenToAll = 0666;
  constexpr mode_t kOwners = 0600;
  const bool behind_link = name == "control" && node.in_fleet;
  const mode_t mode = name == "control" && !behind_link ? kOpenToAll : kOwners;
  TRY(const sys::Address internal,
      sys::Address::unix_path(behind_link ? paths.own_control_socket() : paths.socket(name)));
  role.listeners.push_back({.name = "internal", .address = internal, .mode = mode});
  if (name == "control") TRY_VOID(add_listeners(role, "api", node.api_listen));
  if (name == "worker") TRY_VOID(add_listeners(role, "metrics", node.metrics_listen));
  if (name == "router") role.drain = node.router_drain;
  if (name == "router") TRY_VOID(add_users_listeners(role, node));
  if (name == "router") {  // the mesh may come up later than the router
    TRY_VOID(add_listeners(role, "backhaul", backhaul_of(node), sys::Binding::coming));
  }
  if (name == "link") TRY_VOID(add_listeners(role, "fleet", node.fleet_listen));
  if (name == "link") {
    TRY(const sys::Address control, sys::Address::unix_path(paths.socket("control")));
    role.listeners.push_back({.name = "control", .address = control, .mode = kOpenToAll});
  }
  return role;
}

Result<supervisor::Config> supervisor_config(const config::Paths& paths,
                                             const config::NodeConfig& node,
                                             const std::string& config_file) {
  supervisor::Config config;
  config.run_directory = paths.run;
  // The link starts first and ends last: the others reach control and other nodes through it.
  std::vector<std::string> roles = node.roles;
  if (node.in_fleet) roles.insert(roles.begin(), "link");
  for (const std::string& name : roles) {
    TRY(supervisor::RoleSpec role, role_spec(name, paths, node, config_file));
    config.roles.push_back(std::move(role));
  }
  return config;
}

Result<void> mark_down(const config::Paths& paths) {
  std::ofstream file(paths.down_marker());
  if (!file) return fail(errno_error(errno, "write " + paths.down_marker()));
  return {};
}

async::Task<Result<void>> gone(sys::Process& process) {
  co_await process.wait();
  co_return Result<void>();
}

Result<void> end_supervisor(sys::PosixHost& host, pid_t pid) {
  TRY(const auto process, host.host().processes.adopt(pid));
  TRY_VOID(process->signal(SIGTERM));
  async::Loop& loop = host.loop();
  return loop.run(async::with_deadline(loop, loop.deadline_in(kDownTimeout), gone(*process),
                                       "the end of perigeed"));
}

}  // namespace

Result<void> node_main(const config::Paths& paths, const config::NodeConfig& node,
                       const std::string& config_file) {
  if (::geteuid() != 0) {
    return fail(Code::permission_denied,
                "perigeed needs root (taps, VMs): run it with sudo or as a system service");
  }
  ::umask(022);
  sys::hold_signals({SIGTERM, SIGINT, SIGHUP});
  TRY(const auto host, sys::PosixHost::open(2));
  TRY_VOID(make_directories(paths, node));
  TRY_VOID(host->loop().run(ensure_secrets(host->host(), paths)));
  TRY(supervisor::Config config, supervisor_config(paths, node, config_file));
  supervisor::Supervisor supervisor(*host, std::move(config));
  TRY_VOID(supervisor.start());
  async::Loop& loop = host->loop();
  loop.run(async::first_of(loop, supervisor.run(), live(*host, supervisor, paths, config_file)));
  loop.run(supervisor.stop());
  ::unlink(paths.down_marker().c_str());
  return {};
}

Result<void> down_main(const config::Paths& paths, const config::NodeConfig& node,
                       const std::string& config_file, Machines machines) {
  TRY(const auto host, sys::PosixHost::open(2));
  if (!std::filesystem::exists(paths.run)) return {};  // never started
  if (machines == Machines::stop) TRY_VOID(mark_down(paths));
  if (const pid_t pid = supervisor::running_supervisor(paths.run))
    return end_supervisor(*host, pid);
  // The supervisor was killed; its roles may run. Starting one of our own takes them up, then ends
  // them.
  TRY_VOID(make_directories(paths, node));
  TRY_VOID(host->loop().run(ensure_secrets(host->host(), paths)));
  TRY(supervisor::Config config, supervisor_config(paths, node, config_file));
  supervisor::Supervisor supervisor(*host, std::move(config));
  TRY_VOID(supervisor.start());
  host->loop().run(supervisor.stop());
  ::unlink(paths.down_marker().c_str());
  return {};
}

}  // namespace perigee::bin
