#include "config/node_config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/text.h"
#include "config/toml.h"
#include "model/egress.h"
#include "model/json.h"

namespace perigee::config {
namespace {

constexpr std::int64_t kMaxUid = 4'000'000'000;
constexpr std::int64_t kMinVmUid = 1000;            // above a system's own users
constexpr std::int64_t kMaxVmUid = 0x7f000000 - 1;  // room for the addresses of a /8
constexpr std::array<std::string_view, 3> kRoles{"control", "worker", "router"};
constexpr std::array<std::string_view, 4> kAccelerators{"auto", "firecracker", "kvm", "tcg"};

template <typename T>
void take(T& into, std::optional<T> value) {
  if (value) into = *std::move(value);
}

Result<void> check_addresses(const Section& section, std::string_view key,
                             const std::vector<std::string>& all, model::IpForm form) {
  for (const std::string& text : all) {
    const auto good = model::check_ip(text, form);
    if (!good) return section.wrong(key, good.error().context);
  }
  return {};
}

Result<void> read_top(Section& top, NodeConfig& config) {
  TRY(const auto node, top.string("node"));
  if (node) {
    if (node->empty()) return top.wrong("node", "a node needs a name");
    config.node = NodeId(*node);
  }
  TRY(const auto region, top.string("region"));
  if (region) {
    const auto parsed = model::parse_region(*region);
    if (!parsed) return top.wrong("region", parsed.error().context);
    config.region = *parsed;
  }
  TRY(auto roles, top.strings("roles"));
  take(config.roles, std::move(roles));
  for (const std::string& role : config.roles) {
    if (std::ranges::count(kRoles, role) == 0) {
      return top.wrong("roles", fmt::format("'{}' is not control, worker or router", role));
    }
  }
  TRY(auto guest, top.string("guest_dir"));
  take(config.guest_directory, std::move(guest));
  TRY(auto prefixes, top.strings("address_prefixes"));
  take(config.address_prefixes, std::move(prefixes));
  return check_addresses(top, "address_prefixes", config.address_prefixes, model::IpForm::network);
}

Result<void> read_api(Section& top, NodeConfig& config) {
  TRY(auto api, top.section("api"));
  if (!api) return {};
  TRY(auto listen, api->strings("listen"));
  take(config.api_listen, std::move(listen));
  api->warn_unknown();
  return {};
}

// A bound as it is written in the file.
struct DurationBound {
  Duration value;
  std::string_view text;
};

Result<void> read_duration(Section& section, std::string_view key, Duration& into,
                           DurationBound least, DurationBound most) {
  TRY(const auto given, section.duration(key));
  take(into, given);
  if (into >= least.value && into <= most.value) return {};
  return section.wrong(key, fmt::format("from {} to {}", least.text, most.text));
}

Result<void> read_control(Section& top, NodeConfig& config) {
  TRY(auto control, top.section("control"));
  if (!control) return {};
  const DurationBound second{1s, "1s"};
  const DurationBound hour{1h, "1h"};
  const DurationBound day{24h, "24h"};
  TRY_VOID(read_duration(*control, "autostop_idle", config.autostop_idle, second, day));
  TRY_VOID(read_duration(*control, "listen_timeout", config.listen_timeout, second, hour));
  TRY_VOID(read_duration(*control, "wrong_port_timeout", config.wrong_port_timeout, second, hour));
  TRY_VOID(read_duration(*control, "lost_after", config.lost_after, {15s, "15s"}, day));
  control->warn_unknown();
  return {};
}

Result<void> read_metrics(Section& top, NodeConfig& config) {
  TRY(auto metrics, top.section("metrics"));
  if (!metrics) return {};
  TRY(auto listen, metrics->strings("listen"));
  take(config.metrics_listen, std::move(listen));
  metrics->warn_unknown();
  return {};
}

Result<void> read_router(Section& top, NodeConfig& config) {
  constexpr std::int64_t kMaxPerClient = 1'000'000;
  TRY(auto router, top.section("router"));
  if (!router) return {};
  TRY_VOID(read_duration(*router, "drain", config.router_drain, {1s, "1s"}, {1h, "1h"}));
  TRY(auto http, router->strings("http"));
  TRY(auto https, router->strings("https"));
  TRY(auto tcp, router->strings("tcp"));
  TRY(auto udp, router->strings("udp"));
  TRY(auto proxy_from, router->strings("proxy_from"));
  TRY(const auto per_client, router->integer("connections_per_client", 1, kMaxPerClient));
  TRY(auto backhaul, router->strings("backhaul"));
  TRY(auto domain, router->string("domain"));
  TRY(const auto uid, router->integer("uid", 1, kMaxUid));
  TRY(const auto gid, router->integer("gid", 1, kMaxUid));
  take(config.http_listen, std::move(http));
  take(config.https_listen, std::move(https));
  take(config.tcp_listen, std::move(tcp));
  take(config.udp_listen, std::move(udp));
  take(config.proxy_from, std::move(proxy_from));
  TRY_VOID(check_addresses(*router, "proxy_from", config.proxy_from, model::IpForm::network));
  if (per_client) config.connections_per_client = static_cast<int>(*per_client);
  take(config.backhaul_listen, std::move(backhaul));
  take(config.domain, std::move(domain));
  if (uid) config.router_uid = static_cast<uid_t>(*uid);
  if (gid) config.router_gid = static_cast<gid_t>(*gid);
  router->warn_unknown();
  return {};
}

Result<void> read_worker(Section& top, NodeConfig& config) {
  constexpr std::int64_t kMaxMemoryMib = 1 << 30;
  TRY(auto worker, top.section("worker"));
  if (!worker) return {};
  TRY(auto network, worker->string("network"));
  TRY(const auto memory, worker->integer("memory_mib", 0, kMaxMemoryMib));
  TRY(auto accelerator, worker->string("accelerator"));
  TRY(auto nameservers, worker->strings("nameservers"));
  take(config.nameservers, std::move(nameservers));
  TRY_VOID(check_addresses(*worker, "nameservers", config.nameservers, model::IpForm::address));
  TRY(auto reachable, worker->strings("reachable"));
  take(config.reachable, std::move(reachable));
  TRY_VOID(check_addresses(*worker, "reachable", config.reachable, model::IpForm::network));
  TRY(const auto first_uid, worker->integer("first_uid", kMinVmUid, kMaxVmUid));
  if (first_uid) config.first_vm_uid = static_cast<uid_t>(*first_uid);
  take(config.network, std::move(network));
  take(config.accelerator, std::move(accelerator));
  if (memory) config.memory_mib = static_cast<int>(*memory);
  if (std::ranges::count(kAccelerators, config.accelerator) == 0) {
    return worker->wrong("accelerator", fmt::format("'{}' is not auto, firecracker, kvm or tcg",
                                                    config.accelerator));
  }
  worker->warn_unknown();
  return {};
}

// "203.0.113.7:51820", "[2001:db8::7]:51820"
bool is_address_and_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || !parse_uint(text.substr(colon + 1), 65535)) return false;
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return model::check_ip(host, model::IpForm::address).has_value();
}

Result<void> read_fleet(Section& top, NodeConfig& config) {
  constexpr std::int64_t kMaxPort = 65535;
  TRY(auto fleet, top.section("fleet"));
  if (!fleet) return {};
  config.in_fleet = true;
  TRY(auto endpoint, fleet->string("endpoint"));
  TRY(auto listen, fleet->strings("listen"));
  TRY(const auto port, fleet->integer("mesh_port", 1, kMaxPort));
  take(config.fleet_endpoint, std::move(endpoint));
  take(config.fleet_listen, std::move(listen));
  if (port) config.mesh_port = static_cast<std::uint16_t>(*port);
  if (!config.fleet_endpoint.empty() && !is_address_and_port(config.fleet_endpoint)) {
    return fleet->wrong("endpoint", "expected an address and a port, such as 203.0.113.7:51820");
  }
  const DurationBound years{3650 * 24h, "3650d"};
  TRY_VOID(read_duration(*fleet, "key_life", config.key_life, {1h, "1h"}, years));
  TRY_VOID(
      read_duration(*fleet, "key_announcement", config.key_announcement, {1s, "1s"}, {1h, "1h"}));
  TRY_VOID(read_duration(*fleet, "certificate_life", config.certificate_life, {10s, "10s"}, years));
  fleet->warn_unknown();
  return {};
}

Result<void> read_logs(Section& top, NodeConfig& config) {
  constexpr std::int64_t kMaxMib = 1024;
  constexpr std::int64_t kMaxAllMib = 1 << 20;
  TRY(auto logs, top.section("logs"));
  if (!logs) return {};
  TRY(const auto machine, logs->integer("max_mib", 1, kMaxMib));
  TRY(const auto keep, logs->duration("keep"));
  TRY(const auto destroyed, logs->integer("destroyed_mib", 0, kMaxAllMib));
  if (machine) config.log_max_mib = static_cast<int>(*machine);
  take(config.log_keep, keep);
  if (destroyed) config.log_destroyed_mib = static_cast<int>(*destroyed);
  logs->warn_unknown();
  return {};
}

}  // namespace

bool NodeConfig::runs(std::string_view role) const {
  return std::ranges::count(roles, role) > 0;
}

Result<NodeConfig> parse_node_config(std::string_view text, std::string_view file,
                                     std::string_view host_name,
                                     std::string_view program_directory) {
  TRY(const TomlValue document, parse_toml(text, file));
  Reading reading{.file = std::string(file), .warnings = {}};
  Section top(reading, document, "");
  NodeConfig config;
  config.node = NodeId(std::string(host_name));
  config.guest_directory =
      (std::filesystem::path(program_directory) / "../guest").lexically_normal().string();
  TRY_VOID(read_top(top, config));
  TRY_VOID(read_api(top, config));
  TRY_VOID(read_control(top, config));
  TRY_VOID(read_router(top, config));
  TRY_VOID(read_worker(top, config));
  TRY_VOID(read_fleet(top, config));
  TRY_VOID(read_logs(top, config));
  TRY_VOID(read_metrics(top, config));
  TRY(config.store, read_store_config(top));
  TRY(config.acme, read_acme_config(top));
  top.warn_unknown();
  config.warnings = std::move(reading.warnings);
  return config;
}

Result<NodeConfig> load_node_config(const std::string& path) {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) < 0) return fail(errno_error(errno, "host name"));
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return parse_node_config(text, path, host.data(), program.parent_path().string());
}

}  // namespace perigee::config
