#include "vm/firewall.h"

#include <algorithm>
#include <map>

#include "base/stable_hash.h"
#include "base/text.h"
#include "sys/nftables.h"

namespace perigee::vm {
namespace {

constexpr int kSmtp = 25;
constexpr int kDns = 53;
constexpr int kMaxConnections = 4096;  // of one machine, to wherever
constexpr int kKbytesPerMbit = 125;    // nft counts 1024, so the bound is 2% above
constexpr int kBurstKbytes = 64;  // the largest segment; nft lets a second's worth pass as well

// What is on no machine's internet: this host and its neighbours, addresses that mean something
// else elsewhere, cloud metadata (169.254.169.254), multicast.
constexpr std::string_view kClosed4 =
    "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, "
    "192.0.0.0/24, 192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/3";
// Global unicast alone is open, without what carries IPv4 addresses in it (Teredo, 6to4).
constexpr std::string_view kOpen6 = "2000::/3";
constexpr std::string_view kTunnels6 = "2001::/32, 2002::/16";
// What is 0 in the mesh address of a node, and never in a machine's (docs/formats/mesh.md).
constexpr std::string_view kNotNode = "0:0:0:ffff:ffff:ffff:ffff:0";

bool is_ipv6(std::string_view address) {
  return address.find(':') != std::string_view::npos;
}

std::string_view family_of(std::string_view address) {
  return is_ipv6(address) ? "ip6" : "ip";
}

// "ip daddr 10.0.0.0/8" or the like.
std::string to_network(std::string_view network) {
  return fmt::format("{} daddr {}", family_of(network), network);
}

// "elements = { … };", or nothing: nft takes no empty list.
std::string elements(const std::vector<std::string>& items) {
  if (items.empty()) return "";
  return fmt::format(" elements = {{ {} }};", join(items, ", "));
}

template <typename F>
std::vector<std::string> map_all(const std::vector<FirewallMachine>& machines, F text) {
  std::vector<std::string> out;
  for (const FirewallMachine& machine : machines) out.push_back(text(machine));
  return out;
}

// Whose packet it is: tap, hardware address and address belong together.
std::string identity_sets(const std::vector<FirewallMachine>& machines) {
  const auto by4 = map_all(machines, [](const FirewallMachine& m) {
    return fmt::format("\"{}\" . {} . {}", m.tap, m.mac, m.address);
  });
  const auto by6 = map_all(machines, [](const FirewallMachine& m) {
    return fmt::format("\"{}\" . {} . {}", m.tap, m.mac, m.address6);
  });
  const auto addresses6 = map_all(machines, [](const FirewallMachine& m) { return m.address6; });
  return fmt::format(R"(  set guests {{ type ifname . ether_addr . ipv4_addr;{} }}
  set guests6 {{ type ifname . ether_addr . ipv6_addr;{} }}
  set addresses6 {{ type ipv6_addr;{} }}
)",
                     elements(by4), elements(by6), elements(addresses6));
}

std::string rate_rules(const std::vector<FirewallMachine>& machines) {
  std::string chains;
  std::vector<std::string> jumps;
  for (const FirewallMachine& machine : machines) {
    if (machine.net_mbit == 0) continue;
    const int kbytes = machine.net_mbit * kKbytesPerMbit;
    for (const char* way : {"in", "out"}) {
      chains += fmt::format(
          "  chain {}_{} {{ limit rate over {} kbytes/second burst {} kbytes drop; }}\n", way,
          machine.tap, kbytes, kBurstKbytes);
    }
    jumps.push_back(machine.tap);
  }
  const auto table = [&jumps](std::string_view way) {
    std::vector<std::string> out;
    for (const std::string& tap : jumps)
      out.push_back(fmt::format("\"{0}\" : jump {1}_{0}", tap, way));
    return elements(out);
  };
  return chains + fmt::format(R"(  map rates_out {{ type ifname : verdict;{} }}
  map rates_in {{ type ifname : verdict;{} }}
)",
                              table("out"), table("in"));
}

std::string egress_rule(const EgressRule& rule) {
  if (rule.first_port == 0) return fmt::format("    {} accept\n", to_network(rule.network));
  return fmt::format("    {} meta l4proto {{ tcp, udp }} th dport {}-{} accept\n",
                     to_network(rule.network), rule.first_port, rule.last_port);
}

// Mail leaves only where a list names its port.
std::string egress_rules(const EgressPolicy& egress) {
  std::string named;
  std::string rest;
  for (const EgressRule& rule : egress.rules) {
    const bool mail = rule.first_port == kSmtp && rule.last_port == kSmtp;
    (mail ? named : rest) += egress_rule(rule);
  }
  const std::string mail = fmt::format("    tcp dport {} jump refuse\n", kSmtp);
  if (egress.kind == EgressKind::internet) return mail + "    accept\n";
  return named + mail + rest + "    jump refuse\n";
}

std::optional<FleetMatch> fleet_of(const std::vector<FirewallMachine>& app) {
  for (const FirewallMachine& machine : app) {
    if (machine.fleet) return machine.fleet;
  }
  return std::nullopt;
}

std::string resolver_rule(std::string_view address) {
  return fmt::format("    {} meta l4proto {{ tcp, udp }} th dport {} accept\n", to_network(address),
                     kDns);
}

std::string resolver_rules(const FirewallSettings& settings) {
  std::string out;
  for (const std::string& address : settings.nameservers) {
    out += resolver_rule(address);
  }
  return out;
}

using Apps = std::map<std::string, std::vector<FirewallMachine>>;

std::string app_chain(const FirewallSettings& settings, const std::string& app,
                      const std::vector<FirewallMachine>& machines) {
  const auto own4 = map_all(machines, [](const FirewallMachine& m) { return m.address; });
  const auto own6 = map_all(machines, [](const FirewallMachine& m) { return m.address6; });
  std::string out = fmt::format("  chain app_{} {{\n", app);
  out += fmt::format("    ip daddr {{ {} }} accept\n", join(own4, ", "));
  out += fmt::format("    ip6 daddr {{ {} }} accept\n", join(own6, ", "));
  if (const auto fleet = fleet_of(machines)) {
    out += fmt::format("    oifname \"{}\" ip6 daddr & {} == {} accept\n", settings.mesh,
                       fleet->mask, fleet->value);
  }
  const EgressPolicy& egress = machines.front().egress;
  if (egress.kind == EgressKind::closed) return out + "    jump refuse\n  }\n";
  out += resolver_rules(settings) + "    jump never\n";
  return out + egress_rules(egress) + "  }\n";
}

// Who may open connections to the machines from other nodes: those of the same app. That a packet
// of the mesh is from the node that its address names is WireGuard's to see to.
std::string fleet_rules(const Apps& apps) {
  std::string chains;
  std::vector<std::string> jumps;
  for (const auto& [app, machines] : apps) {
    const auto fleet = fleet_of(machines);
    if (!fleet) continue;
    chains += fmt::format("  chain fleet_{} {{\n    ip6 saddr & {} == {} accept\n    drop\n  }}\n",
                          app, fleet->mask, fleet->value);
    for (const FirewallMachine& machine : machines) {
      if (machine.fleet) jumps.push_back(fmt::format("\"{}\" : goto fleet_{}", machine.tap, app));
    }
  }
  return chains + fmt::format("  map fleet {{ type ifname : verdict;{} }}\n", elements(jumps));
}

std::string app_rules(const FirewallSettings& settings,
                      const std::vector<FirewallMachine>& machines) {
  Apps apps;
  for (const FirewallMachine& machine : machines) apps[machine.app].push_back(machine);
  std::string chains;
  for (const auto& [app, own] : apps) chains += app_chain(settings, app, own);
  const auto jumps = map_all(machines, [](const FirewallMachine& m) {
    return fmt::format("\"{}\" : goto app_{}", m.tap, m.app);
  });
  return chains + fmt::format("  map apps {{ type ifname : verdict;{} }}\n", elements(jumps)) +
         fleet_rules(apps);
}

// The node's own resolver answers every machine (and knows who may ask it what). Another one on the
// host itself is reached as one elsewhere is, unless the app is closed.
std::string host_rules(const FirewallSettings& settings,
                       const std::vector<FirewallMachine>& machines) {
  std::vector<std::string> open;
  for (const FirewallMachine& machine : machines) {
    if (machine.egress.kind != EgressKind::closed)
      open.push_back(fmt::format("\"{}\"", machine.tap));
  }
  std::string out = fmt::format("  set open_taps {{ type ifname;{} }}\n", elements(open));
  out += R"(  chain to_host {
    ct direction reply ct state established,related accept
)";
  if (!settings.resolver.empty()) out += resolver_rule(settings.resolver);
  out += "    iifname != @open_taps drop\n";
  return out + resolver_rules(settings) + "    drop\n  }\n";
}

std::string never_rules(const FirewallSettings& settings) {
  std::string out =
      fmt::format(R"(  chain refuse {{
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }}
  chain never {{
    oifgroup {0:#x} jump refuse
    oifname "{3}" jump refuse
    ip daddr {1} jump refuse
    ip6 daddr {2} jump refuse
)",
                  settings.tap_group, settings.network, settings.network6, settings.mesh);
  for (const std::string& network : settings.reachable) {
    out += fmt::format("    {} return\n", to_network(network));
  }
  return out + fmt::format(R"(    ip daddr {{ {0} }} jump refuse
    ip6 daddr != {1} jump refuse
    ip6 daddr {{ {2} }} jump refuse
  }}
)",
                           kClosed4, kOpen6, kTunnels6);
}

// Chains that hang on the kernel's hooks. What is sent to a machine that is gone is refused here:
// without its tap the default route would carry it off this host, where anyone may answer. A policy
// is asked about every packet of a connection that a machine has opened, so that a change counts
// for those that are open. From the mesh only nodes speak to this host, and only machines to
// machines: nothing is passed on to anywhere else.
std::string hooks(const FirewallSettings& settings) {
  return fmt::format(R"(  chain guard {{
    iifname . ether saddr . ip saddr @guests return
    iifname . ether saddr . ip6 saddr @guests6 return
    drop
  }}
  chain gone {{
    meta l4proto tcp reject with tcp reset
    reject with icmpx host-unreachable
  }}
  set connections {{ type ipv4_addr; size 65535; flags dynamic; }}
  set connections6 {{ type ipv6_addr; size 65535; flags dynamic; }}
  chain from_machine {{
    ct state related accept
    ct direction reply ct state established accept
    ct state invalid drop
    ct state new add @connections {{ ip saddr ct count over {3} }} drop
    ct state new add @connections6 {{ ip6 saddr ct count over {3} }} drop
    tcp flags syn tcp option maxseg size set rt mtu
    iifname vmap @apps
    drop
  }}
  chain to_machine {{
    ct state established,related accept
    iifname "{4}" oifname vmap @fleet
    drop
  }}
  chain prerouting {{
    type filter hook prerouting priority raw - 10; policy accept;
    iifgroup {0:#x} jump guard
    iifname vmap @rates_out
  }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    iifgroup {0:#x} jump to_host
    iifname "{4}" ip6 saddr & {5} != :: drop
  }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    iifgroup {0:#x} jump from_machine
    oifgroup {0:#x} jump to_machine
    iifname "{4}" drop
    ip daddr {1} jump gone
    ip6 daddr {2} jump gone
  }}
  chain output {{
    type filter hook output priority filter - 10; policy accept;
    ip daddr {1} oifgroup != {0:#x} jump gone
    ip6 daddr {2} oifgroup != {0:#x} jump gone
  }}
  chain postrouting {{
    type filter hook postrouting priority filter - 10; policy accept;
    oifname vmap @rates_in
  }}
  chain nat {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "{4}" accept
    ip saddr {1} oifgroup != {0:#x} masquerade
    ip6 saddr {2} oifgroup != {0:#x} masquerade
    ip6 saddr @addresses6 oifgroup != {0:#x} masquerade
  }}
)",
                     settings.tap_group, settings.network, settings.network6, kMaxConnections,
                     settings.mesh, kNotNode);
}

// The host answers for the gateway, to whom it knows, and learns nothing from what it hears.
std::string arp_table(const FirewallSettings& settings,
                      const std::vector<FirewallMachine>& machines) {
  const auto known = map_all(machines, [](const FirewallMachine& m) {
    return fmt::format("\"{}\" . {} . {}", m.tap, m.mac, m.address);
  });
  return fmt::format(R"(table arp {0}
delete table arp {0}
table arp {0} {{
  set guests {{ type ifname . ether_addr . ipv4_addr;{1} }}
  chain guard {{
    arp operation request arp daddr ip {2} iifname . arp saddr ether . arp saddr ip @guests accept
    drop
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    iifgroup {3:#x} jump guard
  }}
}}
)",
                     settings.table, elements(known), settings.gateway, settings.tap_group);
}

}  // namespace

std::string firewall_table(std::string_view root) {
  return "perigee_" + node_hash(root);
}

// Not 0, which all other interfaces are in.
std::uint32_t tap_group(std::string_view root) {
  return static_cast<std::uint32_t>(stable_hash(root)) | 1U;
}

// The table is declared, so that the deletion can't fail, deleted and made anew. Within it a chain
// stands before whoever jumps to it.
std::string firewall_rules(const FirewallSettings& settings,
                           const std::vector<FirewallMachine>& machines) {
  std::string out =
      fmt::format("table inet {0}\ndelete table inet {0}\ntable inet {0} {{\n", settings.table);
  out += identity_sets(machines);
  out += rate_rules(machines);
  out += never_rules(settings);
  out += app_rules(settings, machines);
  out += host_rules(settings, machines);
  out += hooks(settings);
  return out + "}\n" + arp_table(settings, machines);
}

async::Task<Result<void>> load_firewall(sys::Host& host, FirewallSettings settings,
                                        std::vector<FirewallMachine> machines) {
  auto done = co_await sys::load_nftables(host, firewall_rules(settings, machines));
  if (!done) co_return fail(std::move(done).error().with("firewall for machines"));
  co_return done;
}

async::Task<Result<void>> remove_firewall(sys::Host& host, std::string table) {
  co_return co_await sys::load_nftables(host, fmt::format("table inet {0}\ndelete table inet {0}\n"
                                                          "table arp {0}\ndelete table arp {0}\n",
                                                          table));
}

}  // namespace perigee::vm
