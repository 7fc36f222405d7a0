// The lab on paper: from its folder and its cities to every name and address that it uses. Pure, so
// that `down` finds what `up` made without having to trust that everything was written down, and
// two labs in two folders share nothing.
//
// Each city is two network namespaces: that of its node and that of its users. All of them are on
// one emulated Ethernet (wan.h), 10.90.0.0/16, each with one interface, `wan0`:
//
//   10.90.N.1   the node of the Nth city        10.90.N.2   its users, behind the last mile
//   10.(128+N).0.0/16   the addresses of that node's machines
//
// The ranges may be the same in each lab and on the host: no packet leaves a lab.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "lab/control_plan.h"
#include "lab/geography.h"
#include "lab/wan.h"

namespace perigee::lab {

inline constexpr std::string_view kInterface = "wan0";
inline constexpr int kPrefixLength = 16;

// One end on the emulated network.
struct Endpoint {
  std::string network_namespace;  // "pgl-3f00aa-ams"
  std::string address;
  PortNumber port = 0;
};

struct CityPlan {
  City city;
  Site site = 0;
  Endpoint node;
  Endpoint user;
  std::string root;             // PERIGEE_ROOT of its node
  std::string machine_network;  // "10.129.0.0/16"
  uid_t first_vm_uid = 0;
  bool runs_control = false;
};

struct Plan {
  std::string id;         // six hexadecimal digits, of the folder
  std::string directory;  // absolute
  std::vector<CityPlan> cities;
  std::string etcd;  // program; empty: control keeps its state in SQLite

  const CityPlan* find(std::string_view code) const;
  // The same as an error that lists the cities there are.
  Result<const CityPlan*> city(std::string_view code) const;
  std::vector<Endpoint> endpoints() const;  // by port
  // The cities with control, at least one; the first makes the fleet.
  std::vector<const CityPlan*> controls() const;
  std::string state_file() const { return directory + "/lab.json"; }
  std::string wan_socket() const { return directory + "/wan.sock"; }
  std::string wan_log() const { return directory + "/wan.log"; }
};

std::string lab_id(std::string_view directory);
// Of every namespace of the lab, whatever its cities are.
std::string namespace_prefix(std::string_view id);
// At most kMaxCities.
Plan make_plan(std::string_view directory, const std::vector<City>& cities,
               const ControlPlan& control = {});

// The emulated network of the plan: ports, and the path between each two cities.
std::vector<Port> wan_ports(const Plan& plan);
PathSettings base_path(const Plan& plan, Site a, Site b);

// Lines for `ip -batch -` that set an endpoint up within its namespace: loopback, address, and a
// permanent neighbour entry for everybody whom it talks to.
std::string interface_setup(const Plan& plan, const Endpoint& endpoint);

}  // namespace perigee::lab
