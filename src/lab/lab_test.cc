// The lab on paper: cities, distances, names, requests, files.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "config/node_config.h"
#include "geo/regions.h"
#include "lab/etcd.h"
#include "lab/lab_file.h"
#include "lab/limits.h"
#include "lab/nodes.h"
#include "lab/pcap.h"
#include "lab/topology.h"
#include "lab/wan_control.h"

namespace perigee::lab {
namespace {

std::vector<City> cities_of(std::string_view text) {
  return parse_cities(text).value();
}

double ms_between(std::string_view a, std::string_view b) {
  return static_cast<double>(
             round_trip(geo::find_region(a)->place, geo::find_region(b)->place).count()) /
         1e6;
}

}  // namespace

TEST_CASE("a round trip is the great circle's length twice, at 200 km/ms, half again, and 2 ms") {
  CHECK(round_trip({0, 0}, {0, 0}) == 2ms);
  CHECK(round_trip({0, 0}, {0, 180}) == round_trip({90, 0}, {-90, 0}));  // half around the earth
  CHECK(ms_between("iad", "fra") == doctest::Approx(100).epsilon(0.02));
  CHECK(ms_between("iad", "syd") == doctest::Approx(237).epsilon(0.02));
  CHECK(ms_between("iad", "ewr") == doctest::Approx(7.2).epsilon(0.05));
  CHECK(ms_between("nrt", "fra") == ms_between("fra", "nrt"));
}

TEST_CASE("cities are a number of the lab's own, a list, or a file's lines") {
  CHECK(cities_of("17").size() == 17);
  CHECK(cities_of("17")[0].code == "iad");
  CHECK(cities_of("4").size() == 4);
  CHECK(cities_of("syd, iad")[0].code == "syd");
  const auto file = parse_city_file("iad   # control\n\n xyz 12.5 -3.25\r\n");
  REQUIRE(file.has_value());
  REQUIRE(file->size() == 2);
  CHECK((*file)[1] == City{.code = "xyz", .place = {12.5, -3.25}});
}

TEST_CASE("cities that are none, twice there or nowhere are refused with what to write instead") {
  CHECK(parse_cities("0").error().context.find("1 to 17") != std::string::npos);
  CHECK(parse_cities("18").error().context.find("1 to 17") != std::string::npos);
  CHECK(parse_cities("iad,zzz").error().context.find("'zzz'") != std::string::npos);
  CHECK(parse_cities("iad,fra,iad").error().context.find("twice") != std::string::npos);
  CHECK_FALSE(parse_cities("").has_value());
  CHECK_FALSE(parse_city_file("# nothing\n").has_value());
  CHECK(parse_city_file("iad\nxyz 91 0").error().context.find("line 2") != std::string::npos);
  CHECK_FALSE(parse_city_file("xyz 1").has_value());
  CHECK_FALSE(parse_city_file("../ 1 2").has_value());
}

TEST_CASE("a cut names a city or two") {
  CHECK(parse_cut("fra") == Cut{.a = "fra", .b = ""});
  CHECK(parse_cut("fra-syd") == Cut{.a = "fra", .b = "syd"});
  for (const char* wrong :
       {"", "-", "fra-", "-fra", "fra-fra", "fra-syd-iad", "FRA", "frankfurt"}) {
    CHECK_FALSE(parse_cut(wrong).has_value());
  }
}

TEST_CASE("names, addresses, users and ports of a plan are each its own") {
  std::vector<City> cities;
  for (std::size_t i = 0; i < kMaxCities; ++i) {
    const std::string code{'x', static_cast<char>('a' + i / 26), static_cast<char>('a' + i % 26)};
    cities.push_back({.code = code, .place = {}});
  }
  const Plan plan = make_plan("/var/lib/perigee-lab", cities);
  std::set<std::string> seen;
  std::set<uid_t> uids;
  for (const CityPlan& each : plan.cities) {
    for (const std::string& one :
         {each.node.network_namespace, each.user.network_namespace, each.node.address,
          each.user.address, each.root, each.machine_network, port_mac(each.node.port),
          port_mac(each.user.port)}) {
      CHECK(seen.insert(one).second);
    }
    CHECK(each.first_vm_uid >= 0x70010000);
    CHECK(each.first_vm_uid <= 0x7eff0000);  // what perigeed.toml allows
    CHECK(each.first_vm_uid % 0x10000 == 0);
    CHECK(uids.insert(each.first_vm_uid).second);
  }
  CHECK(plan.cities.back().machine_network == "10.192.0.0/16");
  CHECK(wan_ports(plan).size() == plan.endpoints().size());
}

TEST_CASE("users of VMMs stay where perigeed.toml allows them, whatever the lab's folder is") {
  for (int i = 0; i < 500; ++i) {
    const Plan plan = make_plan(fmt::format("/lab{}", i), cities_of("17"));
    const auto node = config::parse_node_config(node_configuration(plan, plan.cities.back()),
                                                "perigeed.toml", "host", "/bin");
    REQUIRE(node.has_value());
  }
}

TEST_CASE("two labs have no name in common, and the same folder gives the same names") {
  const Plan one = make_plan("/var/lib/perigee-lab", cities_of("iad"));
  const Plan two = make_plan("/var/lib/perigee-lab2", cities_of("iad"));
  CHECK(one.cities[0].node.network_namespace != two.cities[0].node.network_namespace);
  CHECK(one.cities[0].node.network_namespace ==
        make_plan("/var/lib/perigee-lab", cities_of("fra,iad")).cities[1].node.network_namespace);
  CHECK(one.cities[0].node.network_namespace == namespace_prefix(one.id) + "iad");
  CHECK(one.city("fra").error().context.find("it has iad") != std::string::npos);
}

TEST_CASE("an interface knows everybody else beforehand") {
  const Plan plan = make_plan("/lab", cities_of("iad,fra"));
  CHECK(interface_setup(plan, plan.cities[1].user) ==
        "link set lo up\n"
        "link set wan0 address 02:50:47:4c:00:03 mtu 1500 txqueuelen 10000 addrgenmode none\n"
        "link set wan0 up\n"
        "address replace 10.90.2.2/16 dev wan0\n"
        "neighbour replace 10.90.1.1 lladdr 02:50:47:4c:00:00 nud permanent dev wan0\n"
        "neighbour replace 10.90.1.2 lladdr 02:50:47:4c:00:01 nud permanent dev wan0\n"
        "neighbour replace 10.90.2.1 lladdr 02:50:47:4c:00:02 nud permanent dev wan0\n");
}

TEST_CASE("a node's configuration is its city's, and control is in the first city alone") {
  const Plan plan = make_plan("/lab", cities_of("iad,fra"));
  CHECK(node_configuration(plan, plan.cities[0]).find("\"control\"") != std::string::npos);
  const std::string text = node_configuration(plan, plan.cities[1]);
  const auto node = config::parse_node_config(text, "fra", "host", "/bin");
  REQUIRE(node.has_value());
  CHECK(node->warnings.empty());
  CHECK(node->node == NodeId("fra"));
  CHECK(node->region == RegionCode("fra"));
  CHECK(node->roles == std::vector<std::string>{"worker", "router"});
  CHECK(node->in_fleet);
  CHECK(node->fleet_endpoint == "10.90.2.1:51820");
  CHECK(node->http_listen == std::vector<std::string>{"10.90.2.1:80"});
  CHECK(node->network == "10.130.0.0/16");
  CHECK(node->first_vm_uid == plan.cities[1].first_vm_uid);
}

TEST_CASE("control is in iad, ewr and ord where a lab has them and etcd, else in the first city") {
  const std::vector<City> many = cities_of("fra,iad,ewr,ord");
  CHECK(plan_control("", many, "/bin/etcd") ==
        ControlPlan{.cities = {"iad", "ewr", "ord"}, .etcd = "/bin/etcd"});
  CHECK(plan_control("", many, "") == ControlPlan{});
  CHECK(plan_control("", cities_of("fra,iad"), "/bin/etcd") == ControlPlan{});
  CHECK(plan_control("fra, iad", many, "/bin/etcd") ==
        ControlPlan{.cities = {"fra", "iad"}, .etcd = "/bin/etcd"});
  CHECK(plan_control("ewr", many, "/bin/etcd") == ControlPlan{.cities = {"ewr"}, .etcd = ""});
  CHECK_FALSE(plan_control("syd", many, "/bin/etcd").has_value());
  CHECK_FALSE(plan_control("iad,iad", many, "/bin/etcd").has_value());
  CHECK_FALSE(plan_control("iad,ewr", many, "").has_value());
}

TEST_CASE("a node with control knows every member of etcd, its own first") {
  const ControlPlan control{.cities = {"iad", "ewr"}, .etcd = "/bin/etcd"};
  const Plan plan = make_plan("/lab", cities_of("fra,iad,ewr"), control);
  const auto node =
      config::parse_node_config(node_configuration(plan, plan.cities[2]), "ewr", "host", "/bin");
  REQUIRE(node.has_value());
  CHECK(node->warnings.empty());
  CHECK(node->runs("control"));
  CHECK(node->store.engine == config::StoreConfig::Engine::etcd);
  CHECK(node->store.endpoints ==
        std::vector<std::string>{"https://10.90.3.1:2379", "https://10.90.2.1:2379"});
  CHECK(node->store.user == "perigee");
  CHECK(node_configuration(plan, plan.cities[0]).find("control") == std::string::npos);
  const std::vector<std::string> command = etcd_command(plan, plan.cities[1]);
  CHECK(command.front() == "/bin/etcd");
  CHECK(std::ranges::count(command,
                           "--initial-cluster=iad=https://10.90.2.1:2380,"
                           "ewr=https://10.90.3.1:2380") == 1);
}

TEST_CASE("requests cut, degrade and heal paths, and say what is set") {
  const Plan plan = make_plan("/lab", cities_of("iad,fra,syd"));
  Wan wan(wan_ports(plan), 3, 1);
  WanControl control(plan, wan);
  control.reset();
  const PathSettings mapped = wan.path(0, 1);
  CHECK(mapped.delay == round_trip(plan.cities[0].city.place, plan.cities[1].city.place) / 2);
  CHECK(wan.path(2, 2) == PathSettings{});

  using Action = WanRequest::Action;
  REQUIRE(control.apply({.action = Action::cut, .a = "fra"}).has_value());
  CHECK_FALSE(wan.path(0, 1).up);
  CHECK_FALSE(wan.path(2, 1).up);
  CHECK(wan.path(0, 2).up);
  CHECK(wan.path(1, 1).up);  // its users still reach it
  REQUIRE(control.apply({.action = Action::heal, .a = "fra", .b = "iad"}).has_value());
  CHECK(wan.path(0, 1) == mapped);
  CHECK_FALSE(wan.path(2, 1).up);

  WanRequest worse{.action = Action::degrade, .a = "iad", .b = "fra"};
  worse.loss = 0.02;
  worse.rtt_ms = 300;
  worse.rate_mbit = 10;
  REQUIRE(control.apply(worse).has_value());
  CHECK(wan.path(1, 0) ==
        PathSettings{.delay = 150ms, .loss = 0.02, .bits_per_second = 10'000'000});
  const auto stat = control.apply({.action = Action::stat}).value();
  const json::Value& path = stat.find("paths")->items()[0];
  CHECK(path.require_string("to").value() == "fra");
  CHECK(path.find("rtt_ms")->number() == 300);
  CHECK(path.find("as_mapped")->boolean() == false);

  REQUIRE(control.apply({.action = Action::heal}).has_value());
  CHECK(wan.path(1, 0) == mapped);
  CHECK(wan.path(2, 1).up);
  CHECK_FALSE(control.apply({.action = Action::cut, .a = "ams"}).has_value());
  CHECK_FALSE(control.apply({.action = Action::cut, .a = "fra", .b = "fra"}).has_value());
}

TEST_CASE("a request survives its wire form, and a wrong one is refused by name") {
  WanRequest request{.action = WanRequest::Action::degrade, .a = "iad", .b = "fra"};
  request.loss = 0.5;
  request.jitter_ms = 3;
  CHECK(decode_wan_request(encode(request)) == request);
  CHECK(decode_wan_request(R"({"do":"fly"})").error().context.find("'fly'") != std::string::npos);
  CHECK_FALSE(decode_wan_request("[]").has_value());
  for (const char* wrong : {R"("loss": 1.1)", R"("loss": -0.1)", R"("loss": "much")",
                            R"("rtt_ms": 1e9)", R"("rate_mbit": 1e12)"}) {
    const auto refused =
        decode_wan_request(fmt::format(R"({{"do":"degrade","a":"iad","b":"fra",{}}})", wrong));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().context.find("expected a number from 0 to") != std::string::npos);
  }
}

TEST_CASE("a lab's file gives back what was written, and nothing of what is none") {
  LabFile lab{.cities = cities_of("4"), .control = {}, .seed = 7};
  CHECK(decode_lab_file(encode(lab)) == lab);
  lab.control = {.cities = {"iad", "fra"}, .etcd = "/bin/etcd"};
  CHECK(decode_lab_file(encode(lab)) == lab);
  lab.control.cities.emplace_back("zzz");
  CHECK_FALSE(decode_lab_file(encode(lab)).has_value());
  CHECK_FALSE(decode_lab_file("{}").has_value());
  CHECK_FALSE(decode_lab_file(R"({"version":2,"seed":1,"cities":[]})").has_value());
  CHECK_FALSE(decode_lab_file(R"({"version":1,"seed":1,"cities":[{"code":"../","latitude":1,)"
                              R"("longitude":1}]})")
                  .has_value());
}

TEST_CASE("a capture's bytes are those of a pcap file with nanoseconds") {
  CHECK(pcap_header() == std::string("\x4d\x3c\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x01"
                                     "\0\0\0",
                                     24));
  const WallTime time{3'000'000'005};
  CHECK(pcap_record(time, "abc") ==
        std::string("\x03\0\0\0\x05\0\0\0\x03\0\0\0\x03\0\0\0", 16) + "abc");
}

}  // namespace perigee::lab
