#include "bin/join_main.h"

#include <netdb.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <memory>

#include "base/log.h"
#include "base/text.h"
#include "bin/join_control.h"
#include "bin/join_token.h"
#include "link/join.h"
#include "link/limits.h"
#include "mesh/key_file.h"
#include "model/json.h"
#include "sys/posix_host.h"

namespace perigee::bin {
namespace {

constexpr Duration kReach = 10s;

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};

// "host", "host:port", "[::1]:port", "::1".
Result<HostPort> split_port(std::string_view text, std::uint16_t fallback) {
  const auto colon = text.rfind(':');
  const bool bare =
      colon == std::string_view::npos || (text.find(':') != colon && !text.starts_with('['));
  if (bare) return HostPort{std::string(text), fallback};
  const auto port = parse_uint(text.substr(colon + 1), 65535);
  std::string_view host = text.substr(0, colon);
  if (!port || *port == 0) return fail(Code::invalid_argument, "'{}': not a port", text);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return HostPort{std::string(host), static_cast<std::uint16_t>(*port)};
}

// Names too; before any loop runs, so it may block.
Result<sys::Address> look_up(const HostPort& at) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(at.host.c_str(), nullptr, &hints, &found);
  if (error != 0) return fail(Code::unavailable, "{}: {}", at.host, ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, ::freeaddrinfo);
  const sys::Address address = sys::Address::from_raw(all->ai_addr, all->ai_addrlen);
  return sys::Address::ip(address.host(), at.port);
}

// The address that this server is reached at, as far as it can tell: the one that it reaches
// control from.
async::Task<Result<std::string>> own_address(sys::Host& host, sys::Address control) {
  CO_TRY(const auto stream, co_await host.network.connect(control, host.loop.deadline_in(kReach)));
  co_return stream->local().host();
}

Result<std::string> endpoint_of(sys::PosixHost& host, const sys::Address& control,
                                const std::string& given, std::uint16_t mesh_port) {
  if (given == "none") return std::string();
  if (given.empty()) {
    TRY_AS(const std::string own, host.loop().run(own_address(host.host(), control)),
           "reach control to join");
    TRY(const sys::Address address, sys::Address::ip(own, mesh_port));
    return address.str();
  }
  TRY(const HostPort at, split_port(given, mesh_port));
  TRY(const sys::Address address, sys::Address::ip(at.host, at.port));
  return address.str();
}

// A router in a fleet is there for users; the default, of a server alone, is the loopback address.
constexpr std::string_view kPublicRouter =
    "\n[router]\nhttp = [\"0.0.0.0:80\", \"[::]:80\"]\nhttps = [\"0.0.0.0:443\", \"[::]:443\"]\n";

std::string configuration(const config::NodeConfig& node) {
  std::string roles;
  for (const std::string& role : node.roles) roles += fmt::format("\"{}\", ", role);
  if (roles.ends_with(", ")) roles.resize(roles.size() - 2);
  return fmt::format(
      "# Written by `perigeed --join`; every key: docs/perigeed.toml.md\n"
      "node = \"{}\"\nregion = \"{}\"\nroles = [{}]\n\n[fleet]\nendpoint = \"{}\"\n{}",
      node.node, node.region, roles, node.fleet_endpoint, node.runs("router") ? kPublicRouter : "");
}

// What the flags say, in a server's first configuration.
Result<config::NodeConfig> configure(config::NodeConfig node, const JoinOptions& options) {
  if (!options.name.empty()) node.node = NodeId(options.name);
  TRY(node.node, model::parse_node_name(node.node.str()));
  if (options.region.empty()) {
    return fail(Code::invalid_argument,
                "--region is missing: the city of this server, three "
                "letters such as fra");
  }
  TRY(node.region, model::parse_region(options.region));
  node.roles = {"worker", "router"};
  if (!options.roles.empty()) {
    node.roles.clear();
    for (const std::string_view role : split(options.roles, ',')) node.roles.emplace_back(role);
  }
  node.in_fleet = true;
  return node;
}

// A configuration that is there is the operator's: flags may repeat it, not contradict it.
Result<void> check_agrees(const config::NodeConfig& node, const JoinOptions& options,
                          const std::string& file) {
  if (!node.in_fleet) {
    return fail(Code::invalid_argument,
                "{} has no [fleet] section: add one (it may be empty), "
                "then join again",
                file);
  }
  const bool other_region = !options.region.empty() && options.region != node.region.str();
  const bool other_name = !options.name.empty() && options.name != node.node.str();
  if (!other_region && !other_name) return {};
  return fail(Code::invalid_argument,
              "{} says node {} in {}: change it there, or leave the flags "
              "away",
              file, node.node, node.region);
}

async::Task<Result<void>> keep(sys::Host& host, config::Paths paths, link::Joined joined) {
  CO_TRY_VOID(co_await secrets::KeyFile::ensure(host, paths.node_ring()));
  CO_TRY(const auto ring, co_await secrets::KeyFile::open(host, paths.node_ring()));
  if (!joined.key_ring.empty()) {
    CO_TRY_VOID(
        co_await secrets::KeyFile::install(host, paths.key_ring(), std::move(joined.key_ring)));
  }
  if (joined.control) {
    CO_TRY_VOID(co_await keep_control_files(host, paths, *std::move(joined.control)));
  }
  const link::IdentityFile file(host, *ring, paths.identity());
  co_return co_await file.save(std::move(joined.identity));
}

Result<void> make_directories(const config::Paths& paths) {
  std::error_code error;
  for (const std::string& path :
       {paths.state + "/fleet", std::filesystem::path(paths.key_ring()).parent_path().string()}) {
    std::filesystem::create_directories(path, error);
    if (error) return fail(errno_error(error.value(), "create " + path));
  }
  std::filesystem::permissions(paths.state + "/fleet", std::filesystem::perms::owner_all, error);
  return {};
}

}  // namespace

Result<void> join_main(const config::Paths& paths, const std::string& config_file,
                       const JoinOptions& options) {
  const std::string variable = take_token_variable();
  TRY(config::NodeConfig node, config::load_node_config(config_file));
  if (std::filesystem::exists(paths.identity())) {
    log_info("perigeed", "this server has joined already ({}); going on", paths.identity());
    return {};
  }
  const bool configured = std::filesystem::exists(config_file);
  if (configured) {
    TRY_VOID(check_agrees(node, options, config_file));
  } else {
    TRY(node, configure(std::move(node), options));
  }
  TRY(const std::string token, read_join_token(options, variable));
  TRY(const HostPort at, split_port(options.control, link::kPort));
  TRY(const sys::Address control, look_up(at));
  TRY(const auto host, sys::PosixHost::open(2));
  async::Loop& loop = host->loop();
  if (node.runs("control")) {
    TRY(const model::JoinToken parsed, model::parse_join_token(token));
    TRY_VOID(loop.run(check_may_run_control(host->host(), paths, node, parsed)));
  }
  if (node.fleet_endpoint.empty()) {
    TRY(node.fleet_endpoint, endpoint_of(*host, control, options.endpoint, node.mesh_port));
  }
  TRY_VOID(make_directories(paths));
  TRY(const mesh::KeyFile keys, loop.run(mesh::KeyFile::open(host->host(), paths.mesh_key())));
  TRY(link::Candidate candidate,
      link::candidate(node.node, node.region, node.roles, node.fleet_endpoint,
                      keys.keys().current.public_key().base64()));
  TRY_AS(link::Joined joined,
         loop.run(link::join(host->host(), control, token, std::move(candidate))),
         "join at " + control.str());
  const model::FleetNode self = joined.identity.admission.node;
  TRY_VOID(loop.run(keep(host->host(), paths, std::move(joined))));
  if (!configured) {
    TRY_VOID(loop.run(host->host().disk.write_file(config_file, configuration(node), 0644,
                                                   sys::Durability::synced)));
  }
  log_info("perigeed", "node {} ({}) has joined the fleet at {}", self.node, self.region,
           self.membership.mesh_address);
  return {};
}

}  // namespace perigee::bin
