#include "control/load_table.h"

#include <algorithm>

#include "control/limits.h"

namespace perigee::control {
namespace {

constexpr std::int64_t kMaxCount = 1'000'000'000;

Result<std::int64_t> count_in(const json::Value& value, std::string_view key) {
  TRY(const std::int64_t count, value.optional_int(key, 0));
  if (count < 0 || count > kMaxCount)
    return fail(Code::invalid_argument, "{}: {} is no count", key, count);
  return count;
}

Result<RouterReport::Load> load_from(const json::Value& value) {
  TRY(const std::int64_t in_flight, count_in(value, "in_flight"));
  TRY(const std::int64_t peak, count_in(value, "peak"));
  TRY(const std::int64_t requests, count_in(value, "requests"));
  return RouterReport::Load{static_cast<int>(in_flight), static_cast<int>(peak), requests};
}

}  // namespace

Result<RouterReport> router_report_from(const json::Value& value) {
  RouterReport report;
  TRY(report.epoch, value.optional_string("epoch"));
  TRY(report.revision, value.optional_int("revision", 0));
  const json::Value* machines = value.find("machines");
  if (machines == nullptr) return report;
  if (!machines->is_array() || machines->items().size() > kMaxLoadsPerReport)
    return fail(Code::invalid_argument, "machines: expected a list of at most {}",
                kMaxLoadsPerReport);
  for (const json::Value& item : machines->items()) {
    TRY_AS(const std::string id, item.require_string("machine"), "machines");
    TRY_AS(report.machines[MachineId(id)], load_from(item), id);
  }
  return report;
}

LoadTable::LoadTable(async::Loop& loop, Duration window)
    : loop_(loop), window_(window), start_(loop.now()), changed_(loop) {}

std::int64_t LoadTable::window_now() const {
  return (loop_.now() - start_) / window_;
}

void LoadTable::report(const NodeId& router, RouterReport report) {
  const std::int64_t window = window_now();
  for (const auto& [machine, load] : report.machines) {
    Use& use = uses_[machine];
    if (use.window != window) {
      use.previous = use.window + 1 == window ? use.peak : 0;
      use.peak = 0;
      use.window = window;
    }
    use.peak = std::max({use.peak, load.peak, load.in_flight});
    use.last = loop_.now();
  }
  if (routers_.size() >= kMaxRouters)
    std::erase_if(routers_, [&](const auto& each) { return !is_live(each.second); });
  routers_[router] = {std::move(report), loop_.now()};
  changed_.notify_all();
}

bool LoadTable::is_live(const Router& router) const {
  return loop_.now() - router.at < kRouterLease;
}

int LoadTable::in_flight(const MachineId& machine) const {
  int sum = 0;
  for (const auto& [id, router] : routers_) {
    const auto found = router.report.machines.find(machine);
    if (is_live(router) && found != router.report.machines.end()) sum += found->second.in_flight;
  }
  return sum;
}

int LoadTable::peak(const MachineId& machine) const {
  const auto found = uses_.find(machine);
  if (found == uses_.end()) return 0;
  const Use& use = found->second;
  const std::int64_t age = window_now() - use.window;
  if (age == 0) return std::max(use.peak, use.previous);
  return age == 1 ? use.peak : 0;
}

Duration LoadTable::idle(const MachineId& machine) const {
  if (in_flight(machine) > 0) return {};
  const auto found = uses_.find(machine);
  return loop_.now() - (found == uses_.end() ? start_ : found->second.last);
}

bool LoadTable::is_quiet(const MachineId& machine,
                         const std::map<std::string, std::int64_t>& marks) const {
  return have_followed(marks) && in_flight(machine) == 0;
}

bool LoadTable::have_followed(const std::map<std::string, std::int64_t>& marks) const {
  bool any = false;
  for (const auto& [id, router] : routers_) {
    if (!is_live(router)) continue;
    any = true;
    const auto mark = marks.find(router.report.epoch);
    if (mark == marks.end() || router.report.revision < mark->second) return false;
  }
  return any;
}

void LoadTable::keep_only(const std::function<bool(const MachineId&)>& known) {
  std::erase_if(uses_, [&](const auto& each) { return !known(each.first); });
}

}  // namespace perigee::control
