// Where control runs in a lab, and what it keeps its state in: one city with SQLite, or several
// with a member of etcd beside each. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lab/geography.h"

namespace perigee::lab {

struct ControlPlan {
  std::vector<std::string> cities;  // codes; empty: the first of the lab
  std::string etcd;                 // program of the members beside control; empty: SQLite
  bool operator==(const ControlPlan&) const = default;
};

// `wanted`: codes such as "iad,ewr,ord"; empty: these three where the lab has them and there is an
// etcd, else the first city. `etcd`: its program, empty where there is none.
Result<ControlPlan> plan_control(std::string_view wanted, const std::vector<City>& cities,
                                 std::string_view etcd);

}  // namespace perigee::lab
