#include "lab/control_plan.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace perigee::lab {
namespace {

constexpr std::array<std::string_view, 3> kUsual{"iad", "ewr", "ord"};

bool has(const std::vector<City>& cities, std::string_view code) {
  return std::ranges::count(cities, code, &City::code) > 0;
}

bool has_usual(const std::vector<City>& cities) {
  return std::ranges::all_of(kUsual, [&](std::string_view code) { return has(cities, code); });
}

}  // namespace

Result<ControlPlan> plan_control(std::string_view wanted, const std::vector<City>& cities,
                                 std::string_view etcd) {
  ControlPlan plan;
  if (wanted.empty() && !etcd.empty() && has_usual(cities)) {
    plan.cities.assign(kUsual.begin(), kUsual.end());
  } else if (!wanted.empty()) {
    for (const std::string_view code : split(wanted, ',')) plan.cities.emplace_back(trim(code));
  }
  for (const std::string& code : plan.cities) {
    if (!has(cities, code))
      return fail(Code::invalid_argument, "--control: city '{}' is not in this lab", code);
    if (std::ranges::count(plan.cities, code) > 1)
      return fail(Code::invalid_argument, "--control: city '{}' is named twice", code);
  }
  if (plan.cities.size() < 2) return plan;
  if (etcd.empty()) {
    return fail(Code::not_found,
                "several cities with control need etcd: install Debian's etcd-server, or name the "
                "program in PERIGEE_ETCD");
  }
  plan.etcd = etcd;
  return plan;
}

}  // namespace perigee::lab
