// checks list, and the words about checks in other commands.
#include <algorithm>

#include "cli/commands.h"

namespace perigee::cli {

std::string tally(const std::vector<client::CheckInfo>& checks) {
  if (checks.empty()) return "";
  const auto passes = [](const client::CheckInfo& check) { return check.status == "passing"; };
  return fmt::format("{}/{} passing", std::ranges::count_if(checks, passes), checks.size());
}

async::Task<Result<void>> run_checks_list(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const auto machines, co_await api->machines(app.str()));
  json::Value all = json::array();
  std::vector<std::vector<std::string>> rows;
  for (const client::MachineInfo& machine : machines) {
    for (const client::CheckInfo& check : machine.checks) {
      all.push(json::object({{"machine", machine.id},
                             {"name", check.name},
                             {"status", check.status},
                             {"output", check.output},
                             {"updated_at", check.updated_at}}));
      rows.push_back({check.name, check.status, machine.id, check.updated_at, check.output});
    }
  }
  if (session.options().json) {
    print_json(all);
  } else if (rows.empty()) {
    print("No checks run. Add some to perigee.toml (docs/perigee.toml.md), then deploy.");
  } else {
    print_table({"NAME", "STATUS", "MACHINE", "CHANGED", "OUTPUT"}, rows);
  }
  co_return Result<void>();
}

}  // namespace perigee::cli
