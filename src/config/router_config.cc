#include "config/router_config.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "base/text.h"
#include "config/app_config.h"
#include "config/toml.h"
#include "model/egress.h"
#include "model/json.h"
#include "model/shared_ports.h"

namespace perigee::config {
namespace {

constexpr std::int64_t kMaxUid = 4'000'000'000;
constexpr std::int64_t kMaxThreads = 64;
constexpr Duration kLeastDrain = 1s;
constexpr Duration kMostDrain = 1h;
constexpr std::size_t kMaxApps = 10'000;
constexpr std::size_t kMaxMachines = 256;    // of an app
constexpr std::size_t kMaxHosts = 256;       // of an app
constexpr std::size_t kMaxCertificates = 4;  // of an app: one for each kind of key
constexpr std::size_t kMaxHostName = 253;    // RFC 1035, 2.3.4

template <typename T>
void take(T& into, std::optional<T> value) {
  if (value) into = *std::move(value);
}

// What a client may name as an app's host: letters, digits, `-` and `.`, or an address; "*." before
// it stands for any one label.
bool is_host(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  if (text.empty() || text.size() > kMaxHostName) return false;
  if (model::check_ip(text, model::IpForm::address)) return true;
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-.";
  return text.find_first_not_of(kAllowed) == std::string_view::npos && !text.starts_with('.') &&
         text.find("..") == std::string_view::npos;
}

Result<void> read_hosts(Section& section, FixedApp& app) {
  TRY(const auto hosts, section.strings("hosts"));
  if (!hosts || hosts->empty()) {
    return section.wrong("hosts", "name at least one host, such as [\"www.example.com\"]");
  }
  if (hosts->size() > kMaxHosts) {
    return section.wrong("hosts", fmt::format("more than {} hosts", kMaxHosts));
  }
  for (const std::string& text : *hosts) {
    const std::string host = to_lower(text);
    if (!is_host(host)) return section.wrong("hosts", fmt::format("'{}' is not a host name", text));
    // As a Host header has it (RFC 3986, 3.2.2).
    app.hosts.push_back(host.find(':') == std::string::npos ? host : "[" + host + "]");
  }
  return {};
}

Result<void> read_machines(Section& section, FixedApp& app) {
  TRY(auto machines, section.strings("machines"));
  if (!machines || machines->empty()) {
    return section.wrong("machines", "name at least one address, such as [\"10.0.0.5\"]");
  }
  if (machines->size() > kMaxMachines) {
    return section.wrong("machines", fmt::format("more than {} machines", kMaxMachines));
  }
  for (const std::string& text : *machines) {
    if (const auto good = model::check_ip(text, model::IpForm::address); !good) {
      return section.wrong("machines", good.error().context + " (the port is internal_port)");
    }
  }
  if (std::set<std::string>(machines->begin(), machines->end()).size() != machines->size()) {
    return section.wrong("machines", "an address stands there twice");
  }
  app.machines = *std::move(machines);
  return {};
}

// A path, or a list of them; empty where there is none.
Result<std::vector<std::string>> read_paths(Section& section, std::string_view key) {
  const TomlValue* value = section.value(key);
  if (value == nullptr) return std::vector<std::string>();
  if (value->string() != nullptr) return std::vector<std::string>{*value->string()};
  TRY(auto paths, section.strings(key));
  return std::move(paths).value_or(std::vector<std::string>());
}

Result<void> read_certificates(Section& section, FixedApp& app) {
  TRY(std::vector<std::string> chains, read_paths(section, "certificate"));
  TRY(std::vector<std::string> keys, read_paths(section, "private_key"));
  if (chains.size() != keys.size()) {
    return section.wrong(chains.empty() ? "private_key" : "certificate",
                         "certificate and private_key stand together, as many of each");
  }
  if (chains.size() > kMaxCertificates) {
    return section.wrong("certificate", fmt::format("more than {}", kMaxCertificates));
  }
  for (std::size_t i = 0; i < chains.size(); ++i) {
    app.certificates.push_back(
        {.certificate = std::move(chains[i]), .private_key = std::move(keys[i])});
  }
  return {};
}

Result<FixedApp> read_app(Section& section) {
  FixedApp app;
  TRY(const auto name, section.string("name"));
  if (!name) return section.wrong("name", "missing");
  const auto parsed = model::parse_app_name(*name);
  if (!parsed) return section.wrong("name", parsed.error().context);
  app.name = *parsed;
  TRY_VOID(read_hosts(section, app));
  TRY_VOID(read_machines(section, app));
  TRY_VOID(read_certificates(section, app));
  TRY(app.services, read_app_services(section));
  if (app.services.empty()) {
    return section.wrong("name", "no service: add [app.http_service] with its internal_port");
  }
  auto ports = model::shared_ports_of(app.services);
  if (!ports) return section.wrong("services", ports.error().context);
  app.shared_ports = *std::move(ports);
  section.warn_unknown();
  return app;
}

Result<void> read_apps(Section& top, RouterConfig& config) {
  TRY(auto sections, top.sections("app"));
  if (sections.size() > kMaxApps) {
    return top.wrong("app", fmt::format("more than {} apps", kMaxApps));
  }
  std::set<std::string> names;
  std::set<std::string> hosts;
  std::set<std::string> ports;
  for (Section& section : sections) {
    TRY(FixedApp app, read_app(section));
    for (const std::string& port : app.shared_ports) {
      if (ports.insert(port).second) continue;
      return section.wrong("services", fmt::format("{} is another app's port, too", port));
    }
    if (!names.insert(app.name.str()).second) {
      return section.wrong("name", fmt::format("'{}' is another app's name, too", app.name));
    }
    for (const std::string& host : app.hosts) {
      if (hosts.insert(host).second) continue;
      return section.wrong("hosts", fmt::format("'{}' stands there twice", host));
    }
    config.apps.push_back(std::move(app));
  }
  return {};
}

Result<void> read_top(Section& top, RouterConfig& config) {
  constexpr std::int64_t kMaxPerClient = 1'000'000;
  TRY(auto http, top.strings("http"));
  TRY(auto https, top.strings("https"));
  TRY(auto tcp, top.strings("tcp"));
  TRY(auto udp, top.strings("udp"));
  TRY(auto proxy_from, top.strings("proxy_from"));
  TRY(const auto per_client, top.integer("connections_per_client", 1, kMaxPerClient));
  TRY(auto domain, top.string("domain"));
  TRY(auto log, top.string("access_log"));
  TRY(const auto uid, top.integer("uid", 1, kMaxUid));
  TRY(const auto gid, top.integer("gid", 1, kMaxUid));
  TRY(const auto region, top.string("region"));
  TRY(const auto drain, top.duration("drain"));
  TRY(const auto threads, top.integer("threads", 1, kMaxThreads));
  take(config.http, std::move(http));
  take(config.https, std::move(https));
  take(config.tcp, std::move(tcp));
  take(config.udp, std::move(udp));
  take(config.proxy_from, std::move(proxy_from));
  for (const std::string& network : config.proxy_from) {
    const auto good = model::check_ip(network, model::IpForm::network);
    if (!good) return top.wrong("proxy_from", good.error().context);
  }
  if (per_client) config.connections_per_client = static_cast<int>(*per_client);
  take(config.domain, std::move(domain));
  take(config.access_log, std::move(log));
  if (threads) config.threads = static_cast<std::size_t>(*threads);
  take(config.drain, drain);
  if (config.drain < kLeastDrain || config.drain > kMostDrain) {
    return top.wrong("drain", "from 1s to 1h");
  }
  if (uid) config.uid = static_cast<uid_t>(*uid);
  if (gid) config.gid = static_cast<gid_t>(*gid);
  if (config.http.empty() && config.https.empty() && config.tcp.empty() && config.udp.empty()) {
    return top.wrong("http", "neither http, https, tcp nor udp names an address to listen on");
  }
  if (!region) return {};
  const auto parsed = model::parse_region(*region);
  if (!parsed) return top.wrong("region", parsed.error().context);
  config.region = *parsed;
  return {};
}

void resolve(std::string& path, const std::filesystem::path& directory) {
  if (!path.empty()) path = (directory / path).lexically_normal().string();
}

}  // namespace

Result<RouterConfig> parse_router_config(std::string_view text, std::string_view file) {
  TRY(const TomlValue document, parse_toml(text, file));
  Reading reading{.file = std::string(file), .warnings = {}};
  Section top(reading, document, "");
  RouterConfig config;
  TRY_VOID(read_top(top, config));
  TRY_VOID(read_apps(top, config));
  top.warn_unknown();
  config.warnings = std::move(reading.warnings);
  return config;
}

Result<RouterConfig> load_router_config(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(errno_error(errno, "read " + path));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  TRY(RouterConfig config, parse_router_config(text, path));
  const auto directory = std::filesystem::path(path).parent_path();
  resolve(config.access_log, directory);
  for (FixedApp& app : config.apps) {
    for (CertificateFiles& files : app.certificates) {
      resolve(files.certificate, directory);
      resolve(files.private_key, directory);
    }
  }
  return config;
}

model::AppRoute route_of(const FixedApp& app, const RouterConfig& config, const NodeId& node,
                         std::vector<model::RouteCertificate> certificates) {
  model::AppRoute route{.app = app.name,
                        .hosts = app.hosts,
                        .services = app.services,
                        .targets = {},
                        .shared_ports = app.shared_ports,
                        .certificates = std::move(certificates),
                        .reason = {}};
  for (const std::string& address : app.machines) {
    route.targets.push_back({.machine = MachineId(address),
                             .instance_id = {},
                             .region = config.region,
                             .node = node,
                             .address = address,
                             .state = model::MachineState::started,
                             .listening = true});
  }
  return route;
}

}  // namespace perigee::config
