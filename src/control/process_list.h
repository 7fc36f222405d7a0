// The order of a machine's processes in the API's `ps`: `sort_by` and `order` of its query. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "json/json.h"

namespace perigee::control {

struct ProcessOrder {
  std::string member = "pid";
  enum class Direction { ascending, descending } direction = Direction::ascending;
  bool operator==(const ProcessOrder&) const = default;
};

// Empty: by pid, ascending.
Result<ProcessOrder> process_order_from(std::string_view sort_by, std::string_view order);
json::Value sorted_processes(const json::Value& processes, const ProcessOrder& order);

}  // namespace perigee::control
