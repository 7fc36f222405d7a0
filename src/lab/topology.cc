#include "lab/topology.h"

#include <algorithm>

#include "base/check.h"
#include "base/stable_hash.h"
#include "lab/limits.h"

namespace perigee::lab {
namespace {

constexpr std::uint64_t kIdMask = 0xffffff;
constexpr int kMachineOctet = 128;
constexpr int kMtu = 1500;
constexpr int kQueueLength = 10'000;  // frames that wait for the emulator

// VMMs run as a user per machine address: 2^16 for each node, kMaxCities nodes for each lab. The
// first block is that of a node outside of labs.
constexpr uid_t kFirstUid = 0x70000000;
constexpr uid_t kUidsPerNode = 0x10000;
constexpr uid_t kUidBlocks = 59;  // up to what perigeed.toml allows

uid_t first_uid(std::string_view directory, std::size_t city) {
  const auto block = static_cast<uid_t>(1 + stable_hash(directory) % kUidBlocks);
  return kFirstUid +
         (block * static_cast<uid_t>(kMaxCities) + static_cast<uid_t>(city)) * kUidsPerNode;
}

CityPlan city_plan(const Plan& plan, const City& city, std::size_t index) {
  const std::size_t number = index + 1;
  const std::string name = namespace_prefix(plan.id) + city.code;
  return {.city = city,
          .site = static_cast<Site>(index),
          .node = {.network_namespace = name,
                   .address = fmt::format("10.90.{}.1", number),
                   .port = static_cast<PortNumber>(2 * index)},
          .user = {.network_namespace = name + "-user",
                   .address = fmt::format("10.90.{}.2", number),
                   .port = static_cast<PortNumber>(2 * index + 1)},
          .root = fmt::format("{}/{}", plan.directory, city.code),
          .machine_network =
              fmt::format("10.{}.0.0/16", static_cast<std::size_t>(kMachineOctet) + number),
          .first_vm_uid = first_uid(plan.directory, index),
          .runs_control = false};
}

}  // namespace

const CityPlan* Plan::find(std::string_view code) const {
  const auto found =
      std::ranges::find(cities, code, [](const CityPlan& each) { return each.city.code; });
  return found == cities.end() ? nullptr : &*found;
}

Result<const CityPlan*> Plan::city(std::string_view code) const {
  if (const CityPlan* found = find(code)) return found;
  std::string all;
  for (const CityPlan& each : cities) all += " " + each.city.code;
  return fail(Code::not_found, "city '{}' is not in this lab; it has{}", code, all);
}

std::vector<Endpoint> Plan::endpoints() const {
  std::vector<Endpoint> out;
  for (const CityPlan& each : cities) {
    out.push_back(each.node);
    out.push_back(each.user);
  }
  return out;
}

std::vector<const CityPlan*> Plan::controls() const {
  std::vector<const CityPlan*> out;
  for (const CityPlan& each : cities) {
    if (each.runs_control) out.push_back(&each);
  }
  return out;
}

std::string lab_id(std::string_view directory) {
  return fmt::format("{:06x}", stable_hash(directory) & kIdMask);
}

std::string namespace_prefix(std::string_view id) {
  return fmt::format("pgl-{}-", id);
}

Plan make_plan(std::string_view directory, const std::vector<City>& cities,
               const ControlPlan& control) {
  PERIGEE_CHECK(cities.size() <= kMaxCities);
  Plan plan{.id = lab_id(directory),
            .directory = std::string(directory),
            .cities = {},
            .etcd = control.etcd};
  for (std::size_t i = 0; i < cities.size(); ++i) {
    plan.cities.push_back(city_plan(plan, cities[i], i));
    plan.cities.back().runs_control =
        control.cities.empty() ? i == 0 : std::ranges::count(control.cities, cities[i].code) > 0;
  }
  return plan;
}

std::vector<Port> wan_ports(const Plan& plan) {
  std::vector<Port> ports;
  for (const CityPlan& each : plan.cities) {
    ports.push_back({.site = each.site});
    ports.push_back({.site = each.site, .access = kLastMileRoundTrip / 2});
  }
  return ports;
}

PathSettings base_path(const Plan& plan, Site a, Site b) {
  if (a == b) return {};
  return {.delay = round_trip(plan.cities[a].city.place, plan.cities[b].city.place) / 2};
}

std::string interface_setup(const Plan& plan, const Endpoint& endpoint) {
  std::string lines = fmt::format(
      "link set lo up\n"
      "link set {0} address {1} mtu {2} txqueuelen {3} addrgenmode none\n"
      "link set {0} up\n"
      "address replace {4}/{5} dev {0}\n",
      kInterface, port_mac(endpoint.port), kMtu, kQueueLength, endpoint.address, kPrefixLength);
  for (const Endpoint& other : plan.endpoints()) {
    if (other.port == endpoint.port) continue;
    lines += fmt::format("neighbour replace {} lladdr {} nud permanent dev {}\n", other.address,
                         port_mac(other.port), kInterface);
  }
  return lines;
}

}  // namespace perigee::lab
