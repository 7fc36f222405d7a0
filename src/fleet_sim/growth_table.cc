// The columns of a Cost: names, titles, and how each may grow.
#include <array>
#include <cmath>

#include "fleet_sim/growth.h"

namespace perigee::fleet_sim {
namespace {

enum class Grows {
  bytes_of_one,  // of one change
  time_of_one,
  bytes_of_all,  // of the whole fleet
  time_of_all,
};

struct Column {
  const char* name;
  double Cost::* value;
  Grows grows;
  const char* title;
};

constexpr std::array kColumns{
    Column{"routes_bytes_per_change", &Cost::routes_bytes, Grows::bytes_of_one,
           "bytes of a change to each router"},
    Column{"nodes_bytes_per_change", &Cost::nodes_bytes, Grows::bytes_of_one,
           "bytes of a change to all nodes together"},
    Column{"control_us_per_change", &Cost::control_us, Grows::time_of_one,
           "us in control to publish a change"},
    Column{"send_us_per_router", &Cost::send_us, Grows::time_of_one,
           "us in control to send it to one more router"},
    Column{"router_us_per_change", &Cost::router_us, Grows::time_of_one,
           "us in a router to take a change"},
    Column{"quiet_us_per_second", &Cost::quiet_us, Grows::time_of_all,
           "us of control in a second without a change"},
    Column{"busy_us_per_second", &Cost::busy_us, Grows::time_of_all,
           "us of control in a second with ten changes"},
    Column{"report_us", &Cost::report_us, Grows::time_of_one,
           "us in control for a report of 100 machines"},
    Column{"round_ms", &Cost::round_ms, Grows::time_of_all,
           "ms of control, once a minute, to look at all apps"},
    Column{"lost_node_bytes", &Cost::lost_node_bytes, Grows::bytes_of_one,
           "bytes of a lost node to each router"},
    Column{"lost_node_us", &Cost::lost_node_us, Grows::time_of_one,
           "us in control to publish a lost node"},
    Column{"snapshot_bytes", &Cost::snapshot_bytes, Grows::bytes_of_all,
           "bytes to a router that begins"},
    Column{"snapshot_ms", &Cost::snapshot_ms, Grows::time_of_all, "ms for it to read them"},
    Column{"router_bytes", &Cost::router_bytes, Grows::bytes_of_all,
           "bytes of memory for a router's routes"},
};

// So many times the smaller fleet's, at most, where the larger one has `ratio` times the machines.
// Times have room for caches that hold less of it, and for a machine that does other things, too;
// what is done for all at each change would still show.
double bound(Grows grows, double ratio) {
  constexpr double kBytes = 1.15;
  constexpr double kTime = 1.4;
  constexpr double kTimeOfAll = 3;
  switch (grows) {
    case Grows::bytes_of_one:
      return kBytes;
    case Grows::time_of_one:
      return kTime * std::sqrt(ratio);
    case Grows::bytes_of_all:
      return kBytes * ratio;
    case Grows::time_of_all:
      return kTimeOfAll * ratio * std::pow(ratio, 0.25);
  }
  return 0;
}

}  // namespace

std::vector<std::string> excesses(const Cost& smaller, const Cost& larger) {
  std::vector<std::string> out;
  const double ratio = static_cast<double>(larger.size.machines) / smaller.size.machines;
  for (const Column& column : kColumns) {
    const double most = smaller.*column.value * bound(column.grows, ratio);
    if (larger.*column.value > most)
      out.push_back(fmt::format("{}: {:.1f} with {} machines, {:.1f} with {}: at most {:.1f}",
                                column.title, smaller.*column.value, smaller.size.machines,
                                larger.*column.value, larger.size.machines, most));
  }
  return out;
}

json::Value to_json(const std::vector<Cost>& costs) {
  json::Value out = json::array();
  for (const Cost& cost : costs) {
    json::Value row = json::object({{"nodes", cost.size.nodes},
                                    {"cities", cost.size.cities},
                                    {"machines", cost.size.machines}});
    for (const Column& column : kColumns) row.set(column.name, cost.*column.value);
    out.push(std::move(row));
  }
  return out;
}

std::string table(const std::vector<Cost>& costs) {
  std::string out = fmt::format("{:<50}", "nodes / cities / machines");
  for (const Cost& cost : costs) {
    out += fmt::format(
        "{:>18}", fmt::format("{}/{}/{}", cost.size.nodes, cost.size.cities, cost.size.machines));
  }
  for (const Column& column : kColumns) {
    out += fmt::format("\n{:<50}", column.title);
    for (const Cost& cost : costs) out += fmt::format("{:>18.1f}", cost.*column.value);
  }
  return out + "\n";
}

}  // namespace perigee::fleet_sim
