#include "control/process_list.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace perigee::control {
namespace {

constexpr std::array<std::string_view, 7> kMembers{"pid",   "cpu",     "rss",      "rtime",
                                                   "stime", "command", "directory"};

bool comes_before(const json::Value& a, const json::Value& b, std::string_view member) {
  const json::Value* left = a.find(member);
  const json::Value* right = b.find(member);
  if (left == nullptr || right == nullptr) return left == nullptr && right != nullptr;
  if (const auto number = left->integer()) return *number < right->integer().value_or(0);
  const std::string* const text = left->string();
  const std::string* const other = right->string();
  return text != nullptr && other != nullptr && *text < *other;
}

}  // namespace

Result<ProcessOrder> process_order_from(std::string_view sort_by, std::string_view order) {
  ProcessOrder out;
  if (!sort_by.empty()) out.member = sort_by;
  if (std::ranges::find(kMembers, out.member) == kMembers.end()) {
    return fail(Code::invalid_argument,
                "sort_by: '{}' is not pid, cpu, rss, rtime, stime, command or directory", sort_by);
  }
  if (order != "" && order != "asc" && order != "desc")
    return fail(Code::invalid_argument, "order: '{}' is not asc or desc", order);
  if (order == "desc") out.direction = ProcessOrder::Direction::descending;
  return out;
}

json::Value sorted_processes(const json::Value& processes, const ProcessOrder& order) {
  const bool ascending = order.direction == ProcessOrder::Direction::ascending;
  const auto before = [&](const json::Value& a, const json::Value& b) {
    return ascending ? comes_before(a, b, order.member) : comes_before(b, a, order.member);
  };
  std::vector<json::Value> sorted;
  for (const json::Value& process : processes.items())
    sorted.insert(std::ranges::upper_bound(sorted, process, before), process);
  return json::array(std::move(sorted));
}

}  // namespace perigee::control
