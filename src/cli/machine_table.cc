#include "cli/machine_table.h"

#include "cli/commands.h"
#include "cli/session.h"

namespace perigee::cli {

std::string note_on(const client::MachineInfo& machine) {
  if (!machine.error.empty()) return machine.error;
  const bool rests = machine.state == "stopped" || machine.state == "suspended";
  const json::Value* events = machine.document.find("events");
  if (!rests || events == nullptr) return {};
  for (auto at = events->items().rbegin(); at != events->items().rend(); ++at) {
    const std::string type = text_of(*at, "type");
    const std::string source = text_of(*at, "source");
    if (source == "worker" && type != "exit") continue;
    if (type == "exit" && source == "worker") {
      const json::Value* request = at->find("request");
      const json::Value* exit = request == nullptr ? nullptr : request->find("exit_event");
      if (exit == nullptr || exit->optional_bool("requested_stop", false).value_or(false)) continue;
      return "the app ended: " + text_of(*exit, "reason");
    }
    return source == "autostop" ? "rests for want of requests" : "by " + source;
  }
  return {};
}

void print_machines(const std::vector<client::MachineInfo>& machines) {
  if (machines.empty()) return print("No machines. Deploy with `perigee deploy`.");
  std::vector<std::vector<std::string>> rows;
  for (const client::MachineInfo& machine : machines) {
    rows.push_back({machine.id, machine.state, machine.region, machine.private_ip,
                    fmt::format("v{}", machine.release), std::to_string(machine.restart_count),
                    tally(machine.checks), machine.started_at, note_on(machine)});
  }
  print_table(
      {"ID", "STATE", "REGION", "ADDRESS", "RELEASE", "RESTARTS", "CHECKS", "STARTED", "NOTE"},
      rows);
}

json::Value documents(const std::vector<client::MachineInfo>& machines) {
  json::Value out = json::array();
  for (const client::MachineInfo& machine : machines) out.push(machine.document);
  return out;
}

}  // namespace perigee::cli
