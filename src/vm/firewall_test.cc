// The firewall's rules as text, and, as root, whether nft takes them.
#include "vm/firewall.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include <thread>

using namespace perigee;
using namespace perigee::vm;

namespace {

FirewallSettings settings() {
  return {.table = "perigee_0000002a",
          .tap_group = 0x2b,
          .network = "10.201.0.0/16",
          .network6 = "fd00:1::/64",
          .gateway = "10.201.0.1",
          .mesh = "pgw-0000002a",
          .nameservers = {"9.9.9.9", "2620:fe::fe"},
          .reachable = {"10.5.0.0/16", "fd00:5::/32"}};
}

FirewallMachine machine(const std::string& app, int number) {
  return {.app = app,
          .tap = "pg-" + std::to_string(number),
          .mac = "02:00:00:00:00:0" + std::to_string(number),
          .address = "10.201.0." + std::to_string(number),
          .address6 = "fd00:1::" + std::to_string(number)};
}

FirewallMachine in_fleet(FirewallMachine machine, const std::string& app) {
  machine.fleet = FleetMatch{"ffff:ffff:ffff:0:ffff:ffff::", app};
  return machine;
}

// The chain's rules, one a line.
std::string chain(const std::string& rules, const std::string& name) {
  const std::size_t begin = rules.find("  chain " + name + " {\n");
  REQUIRE(begin != std::string::npos);
  const std::size_t first = rules.find('\n', begin) + 1;
  return rules.substr(first, rules.find("  }\n", begin) - first);
}

constexpr const char* kResolvers =
    R"(    ip daddr 9.9.9.9 meta l4proto { tcp, udp } th dport 53 accept
    ip6 daddr 2620:fe::fe meta l4proto { tcp, udp } th dport 53 accept
)";

}  // namespace

TEST_CASE("a machine is known by tap, hardware address and address together") {
  const std::string rules = firewall_rules(settings(), {machine("web", 2), machine("db", 3)});
  CHECK(rules.find("elements = { \"pg-2\" . 02:00:00:00:00:02 . 10.201.0.2, "
                   "\"pg-3\" . 02:00:00:00:00:03 . 10.201.0.3 };") != std::string::npos);
  CHECK(chain(rules, "guard") ==
        "    iifname . ether saddr . ip saddr @guests return\n"
        "    iifname . ether saddr . ip6 saddr @guests6 return\n    drop\n");
}

TEST_CASE("an app's machines reach each other, resolvers and the internet, but no mail server") {
  const std::string rules =
      firewall_rules(settings(), {machine("web", 2), machine("db", 3), machine("web", 4)});
  CHECK(chain(rules, "app_web") ==
        "    ip daddr { 10.201.0.2, 10.201.0.4 } accept\n"
        "    ip6 daddr { fd00:1::2, fd00:1::4 } accept\n" +
            std::string(kResolvers) + "    jump never\n    tcp dport 25 jump refuse\n    accept\n");
  CHECK(chain(rules, "app_db").starts_with("    ip daddr { 10.201.0.3 } accept\n"));
}

TEST_CASE("a closed app reaches its own machines alone, a listed one what its list says") {
  FirewallMachine closed = machine("vault", 2);
  closed.egress.kind = EgressKind::closed;
  FirewallMachine listed = machine("mail", 3);
  listed.egress = {.kind = EgressKind::listed,
                   .rules = {{.network = "203.0.113.0/24", .first_port = 443, .last_port = 443},
                             {.network = "203.0.113.7/32", .first_port = 25, .last_port = 25},
                             {.network = "2001:db8::/32"}}};
  const std::string rules = firewall_rules(settings(), {closed, listed});
  CHECK(chain(rules, "app_vault") ==
        "    ip daddr { 10.201.0.2 } accept\n    ip6 daddr { fd00:1::2 } accept\n"
        "    jump refuse\n");
  CHECK(chain(rules, "app_mail")
            .ends_with(
                std::string(kResolvers) +
                "    jump never\n"
                "    ip daddr 203.0.113.7/32 meta l4proto { tcp, udp } th dport 25-25 accept\n"
                "    tcp dport 25 jump refuse\n"
                "    ip daddr 203.0.113.0/24 meta l4proto { tcp, udp } th dport 443-443 accept\n"
                "    ip6 daddr 2001:db8::/32 accept\n"
                "    jump refuse\n"));
  CHECK(rules.find("set open_taps { type ifname; elements = { \"pg-3\" }; }") != std::string::npos);
}

TEST_CASE("no policy opens other apps or private networks; the node's owner may open the latter") {
  const std::string never = chain(firewall_rules(settings(), {machine("web", 2)}), "never");
  CHECK(
      never.starts_with("    oifgroup 0x2b jump refuse\n    oifname \"pgw-0000002a\" jump refuse\n"
                        "    ip daddr 10.201.0.0/16 jump refuse\n"
                        "    ip6 daddr fd00:1::/64 jump refuse\n"
                        "    ip daddr 10.5.0.0/16 return\n    ip6 daddr fd00:5::/32 return\n"));
  for (const char* network : {"169.254.0.0/16", "127.0.0.0/8", "192.168.0.0/16", "100.64.0.0/10"}) {
    CHECK(never.find(network) != std::string::npos);
  }
}

TEST_CASE("machines on other nodes are reached, and reach us, where they are of the same app") {
  const FirewallMachine web = in_fleet(machine("web", 2), "fd12:3456:789a:0:0:7::");
  const FirewallMachine old = machine("old", 3);  // booted before its node joined
  const std::string rules = firewall_rules(settings(), {web, old});
  CHECK(chain(rules, "app_web")
            .find("    oifname \"pgw-0000002a\" ip6 daddr & ffff:ffff:ffff:0:ffff:ffff:: == "
                  "fd12:3456:789a:0:0:7:: accept\n") != std::string::npos);
  CHECK(chain(rules, "fleet_web") ==
        "    ip6 saddr & ffff:ffff:ffff:0:ffff:ffff:: == fd12:3456:789a:0:0:7:: accept\n"
        "    drop\n");
  CHECK(rules.find(
            "map fleet { type ifname : verdict; elements = { \"pg-2\" : goto fleet_web }; }") !=
        std::string::npos);
  CHECK(chain(rules, "app_old").find("pgw-") == std::string::npos);
  CHECK(rules.find("chain fleet_old") == std::string::npos);
}

TEST_CASE(
    "the node's resolver is reached by every machine, other resolvers by those of open apps") {
  FirewallSettings with_resolver = settings();
  with_resolver.resolver = "10.201.0.1";
  const std::string to_host = chain(firewall_rules(with_resolver, {machine("web", 2)}), "to_host");
  CHECK(to_host ==
        "    ct direction reply ct state established,related accept\n"
        "    ip daddr 10.201.0.1 meta l4proto { tcp, udp } th dport 53 accept\n"
        "    iifname != @open_taps drop\n" +
            std::string(kResolvers) + "    drop\n");
  CHECK(chain(firewall_rules(settings(), {}), "to_host").find("10.201.0.1") == std::string::npos);
}

TEST_CASE("a bound on bandwidth holds for both directions of its machine alone") {
  FirewallMachine slow = machine("web", 2);
  slow.net_mbit = 10;
  const std::string rules = firewall_rules(settings(), {slow, machine("web", 3)});
  CHECK(rules.find("chain in_pg-2 { limit rate over 1250 kbytes/second burst 64 kbytes drop; }") !=
        std::string::npos);
  CHECK(rules.find("map rates_out { type ifname : verdict; elements = { \"pg-2\" : jump "
                   "out_pg-2 }; }") != std::string::npos);
  CHECK(rules.find("out_pg-3") == std::string::npos);
}

TEST_CASE("nft takes the rules, twice, with and without machines") {
  FirewallMachine slow = machine("web", 2);
  slow.net_mbit = 10;
  FirewallMachine closed = in_fleet(machine("a-b-c", 3), "fd12:3456:789a:0:0:7::");
  closed.egress.kind = EgressKind::closed;
  FirewallMachine listed = machine("mail", 4);
  listed.egress = {.kind = EgressKind::listed,
                   .rules = {{.network = "203.0.113.0/24", .first_port = 80, .last_port = 90},
                             {.network = "2001:db8::/32"}}};
  bool possible = false;
  std::thread thread([&] {
    possible =
        ::geteuid() == 0 && ::unshare(CLONE_NEWNET) == 0 && ::access("/usr/sbin/nft", X_OK) == 0;
    if (!possible) return;
    for (const auto& machines :
         {std::vector<FirewallMachine>{}, std::vector<FirewallMachine>{slow, closed, listed},
          std::vector<FirewallMachine>{slow}}) {
      FILE* nft = ::popen("/usr/sbin/nft -f -", "w");
      REQUIRE(nft != nullptr);
      const std::string rules = firewall_rules(settings(), machines);
      CHECK(::fwrite(rules.data(), 1, rules.size(), nft) == rules.size());
      CHECK(::pclose(nft) == 0);
    }
  });
  thread.join();
  if (!possible) MESSAGE("skipped: needs root, nft and a network namespace");
}
