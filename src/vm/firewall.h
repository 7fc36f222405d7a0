// Firewall: what the machines of this node may send and reach, as nftables tables named after the
// node's state directory, so that several nodes share a server. A machine is known by its tap, its
// hardware address and its two addresses, all of them together: a packet that claims anything else
// ends where it enters. A machine answers connections; it opens some only to machines of its own
// app, to the node's resolvers, and to the internet as its app's egress policy says; never to the
// host, to another app, or to private and link-local networks.
//
// The rules are a pure function of all machines, loaded as one transaction: there is no moment
// without rules, and loading them again mends whatever happened to them.
//
//   CO_TRY_VOID(co_await load_firewall(host, settings, machines));
//
// Decision record: docs/decisions/0010-isolation.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "sys/host.h"

namespace perigee::vm {

struct FirewallSettings {
  std::string table;        // firewall_table(…)
  std::uint32_t tap_group;  // tap_group(…): of all taps of this node
  std::string network;      // of the machines: "10.201.0.0/16"
  std::string network6;     // "fd12:3456:789a::/64"
  std::string gateway;      // the host on every tap: "10.201.0.1"
  std::string mesh = {};    // the interface to the fleet's other nodes, whether it is there or not
  std::vector<std::string> nameservers = {};
  std::string resolver = {};  // of this host, for every machine: the gateway's address, or none
  // Networks that are closed by default (private ones) and that this node's owner opens.
  std::vector<std::string> reachable = {};
};

// Where an app's machines may connect to, beside each other.
struct EgressRule {
  std::string network = {};  // "203.0.113.0/24", "2001:db8::/32"
  int first_port = 0;        // of TCP and UDP; 0: everything
  int last_port = 0;
  bool operator==(const EgressRule&) const = default;
};
enum class EgressKind { internet, closed, listed };
struct EgressPolicy {
  EgressKind kind = EgressKind::internet;
  std::vector<EgressRule> rules = {};  // of `listed`
  bool operator==(const EgressPolicy&) const = default;
};

// By which the machines of an app in the whole fleet are known (mesh/address_plan.h): their address
// under the mask is the value.
struct FleetMatch {
  std::string mask;
  std::string value;
  bool operator==(const FleetMatch&) const = default;
};

struct FirewallMachine {
  std::string app;
  std::string tap;
  std::string mac;
  std::string address;
  std::string address6;
  std::optional<FleetMatch> fleet = std::nullopt;  // its app's: the same for all its machines
  EgressPolicy egress = {};                        // the app's: the same for all its machines
  int net_mbit = 0;                                // per second and direction; 0: no bound
  bool operator==(const FirewallMachine&) const = default;
};

std::string firewall_table(std::string_view root);
std::uint32_t tap_group(std::string_view root);
// The rules as nft reads them; loading them again changes nothing.
std::string firewall_rules(const FirewallSettings& settings,
                           const std::vector<FirewallMachine>& machines);

async::Task<Result<void>> load_firewall(sys::Host& host, FirewallSettings settings,
                                        std::vector<FirewallMachine> machines);
async::Task<Result<void>> remove_firewall(sys::Host& host, std::string table);

}  // namespace perigee::vm
