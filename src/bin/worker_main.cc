// Composes the worker: driver, images, firewall, the line to control.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "async/combine.h"
#include "async/task_group.h"
#include "base/log.h"
#include "base/stable_hash.h"
#include "base/text.h"
#include "bin/name_service.h"
#include "bin/role.h"
#include "mesh/device.h"
#include "supervisor/pid_file.h"
#include "sys/cgroup.h"
#include "sys/forwarding.h"
#include "vm/firewall.h"
#include "vm/monitor_driver.h"
#include "vm/names.h"
#include "worker/metrics_server.h"
#include "worker/worker.h"

namespace perigee::bin {
namespace {

constexpr int kHostMemoryMib = 512;  // kept from the machines
constexpr int kMinimumMemoryMib = 256;
constexpr Duration kStopAll = 50s;  // less than the supervisor's patience

class NftFabric : public worker::Fabric {
 public:
  NftFabric(sys::Host& host, vm::FirewallSettings settings)
      : host_(host), settings_(std::move(settings)) {}
  async::Task<Result<void>> apply(std::vector<vm::FirewallMachine> machines) override {
    CO_TRY_VOID(sys::enable_forwarding());
    co_return co_await vm::load_firewall(host_, settings_, std::move(machines));
  }
  async::Task<Result<void>> remove() override {
    co_return co_await vm::remove_firewall(host_, settings_.table);
  }

 private:
  sys::Host& host_;
  vm::FirewallSettings settings_;
};

std::int64_t total_memory_mib() {
  const auto pages = static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES));
  return pages * ::sysconf(_SC_PAGESIZE) / (1024 * 1024);
}

// The host's resolvers that a guest can reach too.
std::vector<std::string> host_nameservers() {
  std::vector<std::string> out;
  std::ifstream file("/etc/resolv.conf");
  for (std::string line; std::getline(file, line);) {
    const auto parts = split_once(trim(line), ' ');
    if (!parts || parts->first != "nameserver") continue;
    const std::string address(trim(parts->second));
    const auto parsed = sys::Address::ip(address, 0);
    if (parsed && !parsed->is_loopback()) out.push_back(address);
  }
  return out;
}

// Those of perigeed.toml, or the host's own.
std::vector<std::string> nameservers_of(const RoleContext& context) {
  if (!context.node.nameservers.empty()) return context.node.nameservers;
  std::vector<std::string> found = host_nameservers();
  if (found.empty()) {
    log_warning("worker",
                "this host's resolvers are on loopback, where no machine reaches them: machines "
                "resolve no names (set nameservers under [worker])");
  }
  return found;
}

// RFC 4193: "fd", 40 bits that are this node's, and one /64 of them. Ends in "::", so that an IPv4
// address may follow.
std::string private_network6(const std::string& state, const NodeId& node) {
  const std::uint64_t bits = stable_hash(state + "@" + node.str());
  return fmt::format("fd{:02x}:{:04x}:{:04x}::", bits & 0xff, (bits >> 8) & 0xffff,
                     (bits >> 24) & 0xffff);
}

Result<std::string> gateway_of(const worker::Config& config) {
  TRY(const worker::AddressPool pool, worker::AddressPool::open(config.network));
  return pool.gateway();
}

Result<vm::FirewallSettings> firewall_settings(const RoleContext& context,
                                               const worker::Config& config) {
  TRY(const std::string gateway, gateway_of(config));
  return vm::FirewallSettings{.table = vm::firewall_table(context.paths.state),
                              .tap_group = config.tap_group,
                              .network = config.network,
                              .network6 = config.network6 + "/64",
                              .gateway = gateway,
                              .mesh = mesh::interface_name(context.paths.state),
                              .nameservers = config.nameservers,
                              .resolver = config.resolver,
                              .reachable = context.node.reachable};
}

std::string host_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

vm::MonitorDriverConfig driver_config(const RoleContext& context) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  return {.machines_dir = context.paths.machines(),
          .run_dir = context.paths.vm_sockets(),
          .host_dir = context.paths.host_cache(),
          .guest_dir = context.node.guest_directory,
          .monitor_program = (program.parent_path() / "perigee-monitor").string(),
          .platform = vm::platform_named(context.node.accelerator),
          .cgroup = vm::node_cgroup(context.paths.state)};
}

// Control's own socket: in a fleet control.sock is the link's.
Result<sys::Address> own_control_of(const RoleContext& context) {
  return sys::Address::unix_path(context.node.in_fleet ? context.paths.own_control_socket()
                                                       : context.paths.socket("control"));
}

worker::Config worker_config(const RoleContext& context) {
  worker::Config config;
  config.node = context.node.node;
  config.region = context.node.region;
  config.state_dir = context.paths.state;
  config.key_ring = context.paths.key_ring();
  config.network = context.node.network;
  config.cpus = static_cast<int>(std::thread::hardware_concurrency());
  config.memory_mib =
      context.node.memory_mib > 0
          ? context.node.memory_mib
          : std::max<std::int64_t>(kMinimumMemoryMib, total_memory_mib() - kHostMemoryMib);
  config.nameservers = nameservers_of(context);
  config.network6 = private_network6(context.paths.state, context.node.node);
  config.tap_group = vm::tap_group(context.paths.state);
  config.logs = {.machine_bytes = static_cast<std::uint64_t>(context.node.log_max_mib) << 20,
                 .keep = context.node.log_keep,
                 .destroyed_bytes = static_cast<std::uint64_t>(context.node.log_destroyed_mib)
                                    << 20};
  config.run_dir = context.paths.run;
  config.host_boot_id = host_boot_id();
  config.first_vm_uid = context.node.first_vm_uid;
  return config;
}

// `perigee down`: ends the machines too, and what they needed of the host.
async::Task<Result<void>> take_down(sys::Host& host, worker::Worker& worker, std::string cgroup) {
  log_info("worker", "stopping all machines");
  CO_TRY_VOID(co_await worker.stop_all(host.loop.deadline_in(kStopAll)));
  CO_TRY(const sys::Cgroups cgroups, sys::Cgroups::detect());
  cgroups.remove_empty(cgroup);
  co_return Result<void>();
}

// Until SIGTERM; then, if `perigee down` left its marker, the machines are stopped while the worker
// runs on.
async::Task<Result<void>> live(RoleContext& context, worker::Worker& worker) {
  const int number = co_await context.host.wait_for_signal({SIGTERM, SIGINT});
  log_info("worker", "ending on signal {}", number);
  if (!std::filesystem::exists(context.paths.down_marker())) co_return Result<void>();
  co_return co_await take_down(context.host.host(), worker, vm::node_cgroup(context.paths.state));
}

// The daemons of this node that run now, with their pids.
std::vector<std::pair<std::string, pid_t>> running_daemons(const std::string& run_directory) {
  std::vector<std::pair<std::string, pid_t>> out;
  for (const char* role : {"perigeed", "control", "link", "worker", "router"}) {
    const auto pid = supervisor::read_live_pid(supervisor::pid_path(run_directory, role));
    if (pid) out.emplace_back(role, *pid);
  }
  return out;
}

async::Task<void> keep(async::Task<Result<void>> task, Result<void>& result) {
  result = co_await std::move(task);
}

}  // namespace

Result<void> worker_main(RoleContext context) {
  sys::Host& host = context.host.host();
  TRY(auto listener, context.take_listener("internal"));
  TRY(const auto control, sys::Address::unix_path(context.paths.socket("control")));
  TRY(const auto driver,
      context.host.loop().run(vm::MonitorDriver::open(host, driver_config(context))));
  log_info("worker", "machines run on {}{}{}", driver->accelerator(),
           driver->refused().empty() ? "" : "; refused ", driver->refused());
  worker::HostVolumeDisks disks(host);
  worker::ImageStore images(host, context.paths.state, control);
  worker::Config config = worker_config(context);
  TRY(config.resolver, gateway_of(config));
  auto names = NameService::open(context.host, config.resolver);
  if (!names) {
    log_warning("worker", "{}: machines find no names under .internal", names.error().context);
    config.resolver.clear();
  }
  TRY(vm::FirewallSettings settings, firewall_settings(context, config));
  NftFabric fabric(host, std::move(settings));
  worker::HttpControlLink link(host, control, context.node.node);
  TRY(const auto worker, worker::Worker::make(host, config, *driver, images, disks, fabric, link));
  TRY(auto scraped, context.take_listeners("metrics"));
  TRY(const sys::Address own_control, own_control_of(context));
  worker::CertificateSource certificates(host, own_control);
  worker::MetricsServer metrics(
      host, *worker, *driver, [run = context.paths.run] { return running_daemons(run); },
      context.node.runs("control") ? &certificates : nullptr);
  Result<void> result;
  async::Loop& loop = context.host.loop();
  async::TaskGroup serving(loop);
  serving.spawn(metrics.serve(std::move(scraped)));
  if (names) (*names)->serve(serving, *worker, config.nameservers);
  loop.run(async::first_of(loop, keep(worker->run(std::move(listener)), result),
                           keep(live(context, *worker), result)));
  return result;
}

}  // namespace perigee::bin
