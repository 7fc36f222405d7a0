// JSON of observed state (reports), of routes (feed) and of the public API's machine object.
#include "model/json.h"
#include "model/json_checks.h"
#include "model/json_parts.h"
#include "model/limits.h"
#include "model/machine_state.h"

namespace perigee::model {
namespace {

constexpr std::size_t kMaxMachinesPerNode = 10'000;
constexpr EnumNames<Readiness, 4> kReadiness{{{Readiness::unchecked, "unchecked"},
                                              {Readiness::pending, "pending"},
                                              {Readiness::ready, "ready"},
                                              {Readiness::failing, "failing"}}};

json::Value to_json(const ExitEvent& exit) {
  return json::object({{"exit_code", exit.exit_code},
                       {"guest_exit_code", exit.exit_code},
                       {"guest_signal", exit.signal},
                       {"signal", exit.signal},
                       {"oom_killed", exit.oom_killed},
                       {"requested_stop", exit.requested_stop},
                       {"reason", exit.reason},
                       {"exited_at_ns", exit.exited_at.ns}});
}

Result<ExitEvent> exit_from(const json::Value& value) {
  constexpr int kMaxCode = 255;
  ExitEvent exit;
  TRY(exit.exit_code, int_in(value, "exit_code", 0, -1, kMaxCode));
  TRY(exit.signal, int_in(value, "signal", 0, 0, kMaxCode));
  TRY(exit.oom_killed, value.optional_bool("oom_killed", false));
  TRY(exit.requested_stop, value.optional_bool("requested_stop", false));
  TRY(exit.reason, value.optional_string("reason"));
  TRY(exit.exited_at.ns, value.optional_int("exited_at_ns", 0));
  return exit;
}

Result<std::optional<ExitEvent>> optional_exit(const json::Value& value, std::string_view key) {
  const json::Value* member = value.find(key);
  if (member == nullptr || member->is_null()) return std::nullopt;
  TRY_AS(ExitEvent exit, exit_from(*member), key);
  return std::optional(std::move(exit));
}

Result<MachineEvent> event_from(const json::Value& value) {
  MachineEvent event;
  TRY(event.type, value.require_string("type"));
  TRY(event.status, value.optional_string("status"));
  TRY(event.source, value.optional_string("source"));
  TRY(const std::int64_t at_ms, value.optional_int("timestamp", 0));
  event.at.ns = at_ms * 1'000'000;
  if (const json::Value* request = value.find("request"); request != nullptr) {
    TRY(event.exit, optional_exit(*request, "exit_event"));
  }
  return event;
}

Result<MachineState> state_in(const json::Value& value, std::string_view key) {
  TRY(const std::string text, value.require_string(key));
  TRY_AS(const MachineState state, machine_state_from(text), key);
  return state;
}

json::Value to_json(const RouteTarget& target) {
  return json::object({{"machine", target.machine.str()},
                       {"instance_id", target.instance_id},
                       {"region", target.region.str()},
                       {"node", target.node.str()},
                       {"address", target.address},
                       {"state", name(target.state)},
                       {"listening", target.listening},
                       {"wakeable", target.wakeable},
                       {"readiness", name_of(kReadiness, target.readiness)}});
}

Result<RouteTarget> target_from(const json::Value& value) {
  RouteTarget target;
  TRY(const std::string machine, value.require_string("machine"));
  TRY(const std::string region, value.optional_string("region"));
  TRY(const std::string node, value.optional_string("node"));
  target.machine = MachineId(machine);
  target.region = RegionCode(region);
  target.node = NodeId(node);
  TRY(target.instance_id, value.optional_string("instance_id"));
  TRY(target.address, value.optional_string("address"));
  TRY(target.state, state_in(value, "state"));
  TRY(target.listening, value.optional_bool("listening", false));
  TRY(target.wakeable, value.optional_bool("wakeable", false));
  TRY(target.readiness, enum_in(kReadiness, value, "readiness", target.readiness));
  return target;
}

// A route's services, through MachineConfig's reader, which knows their form.
Result<std::vector<Service>> services_in(const json::Value& value) {
  const json::Value* services = value.find("services");
  if (services == nullptr) return std::vector<Service>{};
  TRY(MachineConfig config, machine_config_from(json::object({{"services", *services}})));
  return std::move(config.services);
}

}  // namespace

json::Value to_json(const MachineEvent& event) {
  json::Value out = json::object({{"type", event.type},
                                  {"status", event.status},
                                  {"source", event.source},
                                  {"timestamp", event.at.unix_ms()}});
  if (event.exit) out.set("request", json::object({{"exit_event", to_json(*event.exit)}}));
  return out;
}

json::Value to_json(const MachineStatus& status) {
  json::Value events = json::array();
  for (const MachineEvent& event : status.events) events.push(to_json(event));
  json::Value checks = json::array();
  for (const CheckStatus& check : status.checks) checks.push(to_json(check));
  json::Value out = json::object({{"id", status.id.str()},
                                  {"instance_id", status.instance_id},
                                  {"state", name(status.state)},
                                  {"acted_sequence", status.acted_sequence},
                                  {"private_ip", status.private_ip},
                                  {"private_ip6", status.private_ip6},
                                  {"listening", status.listening},
                                  {"listens_on", status.listens_on},
                                  {"restart_count", status.restart_count},
                                  {"checks", std::move(checks)},
                                  {"error", status.error},
                                  {"events", std::move(events)}});
  if (status.started_at) out.set("started_at_ns", status.started_at->ns);
  if (status.last_exit) out.set("last_exit", to_json(*status.last_exit));
  return out;
}

Result<MachineStatus> machine_status_from(const json::Value& value) {
  constexpr int kMaxRestarts = 1'000'000'000;
  MachineStatus status;
  TRY(const std::string id, value.require_string("id"));
  status.id = MachineId(id);
  TRY(status.instance_id, value.optional_string("instance_id"));
  TRY(status.state, state_in(value, "state"));
  TRY(status.acted_sequence, value.optional_int("acted_sequence", 0));
  TRY(status.private_ip, value.optional_string("private_ip"));
  TRY(status.private_ip6, value.optional_string("private_ip6"));
  TRY(status.listening, value.optional_bool("listening", false));
  TRY(status.listens_on, value.optional_string("listens_on"));
  TRY(status.restart_count, int_in(value, "restart_count", 0, 0, kMaxRestarts));
  TRY(status.checks, list_of<CheckStatus>(value, "checks", kMaxChecks, check_status_from));
  TRY(status.error, value.optional_string("error"));
  TRY(status.last_exit, optional_exit(value, "last_exit"));
  TRY(status.events, list_of<MachineEvent>(value, "events", kMaxMachineEvents, event_from));
  TRY(const std::int64_t started, value.optional_int("started_at_ns", 0));
  if (started != 0) status.started_at = WallTime{started};
  return status;
}

json::Value to_json(const NodeReport& report) {
  json::Value machines = json::array();
  for (const MachineStatus& status : report.machines) machines.push(to_json(status));
  json::Value volumes = json::array();
  for (const VolumeStatus& status : report.volumes) volumes.push(to_json(status));
  return json::object({{"node", report.node.str()},
                       {"region", report.region.str()},
                       {"boot_id", report.boot_id},
                       {"cpus", report.cpus},
                       {"memory_mib", report.memory_mib},
                       {"memory_free_mib", report.memory_free_mib},
                       {"accelerator", report.accelerator},
                       {"sealing_keys", json::strings(report.sealing_keys)},
                       {"machines", std::move(machines)},
                       {"disk_free_mib", report.disk_free_mib},
                       {"volumes", std::move(volumes)}});
}

Result<NodeReport> node_report_from(const json::Value& value) {
  constexpr int kMaxNodeCpus = 65536;
  NodeReport report;
  TRY(const std::string node, value.require_string("node"));
  TRY(const std::string region, value.optional_string("region"));
  report.node = NodeId(node);
  report.region = RegionCode(region);
  TRY(report.boot_id, value.optional_string("boot_id"));
  TRY(report.cpus, int_in(value, "cpus", 0, 0, kMaxNodeCpus));
  TRY(report.memory_mib, value.optional_int("memory_mib", 0));
  TRY(report.memory_free_mib, value.optional_int("memory_free_mib", 0));
  TRY(report.accelerator, value.optional_string("accelerator"));
  TRY(report.sealing_keys, value.optional_strings("sealing_keys"));
  TRY(report.machines,
      list_of<MachineStatus>(value, "machines", kMaxMachinesPerNode, machine_status_from));
  TRY(report.disk_free_mib, value.optional_int("disk_free_mib", 0));
  TRY(report.volumes,
      list_of<VolumeStatus>(value, "volumes", kMaxVolumesPerNode, volume_status_from));
  return report;
}

json::Value to_json(const AppRoute& route) {
  MachineConfig services;
  services.services = route.services;
  json::Value targets = json::array();
  for (const RouteTarget& target : route.targets) targets.push(to_json(target));
  json::Value certificates = json::array();
  json::Value challenges = json::array();
  json::Value out = json::object({{"app", route.app.str()},
                                  {"hosts", json::strings(route.hosts)},
                                  {"services", *to_json(services).find("services")},
                                  {"targets", std::move(targets)},
                                  {"reason", route.reason}});
  if (!route.addresses.empty()) out.set("addresses", json::strings(route.addresses));
  if (!route.shared_ports.empty()) out.set("shared_ports", json::strings(route.shared_ports));
  for (const RouteCertificate& each : route.certificates) certificates.push(to_json(each));
  for (const RouteChallenge& each : route.challenges) challenges.push(to_json(each));
  if (!route.certificates.empty()) out.set("certificates", std::move(certificates));
  if (!route.challenges.empty()) out.set("challenges", std::move(challenges));
  return out;
}

Result<AppRoute> app_route_from(const json::Value& value) {
  AppRoute route;
  TRY(const std::string app, value.require_string("app"));
  route.app = AppName(app);
  TRY(route.hosts, value.optional_strings("hosts"));
  TRY(route.services, services_in(value));
  TRY(route.addresses, value.optional_strings("addresses"));
  TRY(route.shared_ports, value.optional_strings("shared_ports"));
  TRY(route.targets, list_of<RouteTarget>(value, "targets", kMaxMachinesPerNode, target_from));
  TRY(route.certificates, list_of<RouteCertificate>(value, "certificates", kMaxRouteCertificates,
                                                    route_certificate_from));
  TRY(route.challenges,
      list_of<RouteChallenge>(value, "challenges", kMaxHosts, route_challenge_from));
  TRY(route.reason, value.optional_string("reason"));
  return route;
}

json::Value public_machine(const Machine& machine, const MachineStatus* status) {
  json::Value out =
      json::object({{"id", machine.id.str()},
                    {"name", machine.name},
                    {"state", name(status == nullptr ? MachineState::created : status->state)},
                    {"region", machine.region.str()},
                    {"instance_id", machine.instance_id},
                    {"version", machine.version},
                    {"private_ip", status == nullptr ? std::string() : status->private_ip},
                    {"image_ref", to_json(machine.image)},
                    {"config", to_json(machine.config)},
                    {"created_at", to_rfc3339(machine.created_at)},
                    {"updated_at", to_rfc3339(machine.updated_at)},
                    {"cordoned", machine.cordoned},
                    {"node", machine.node.str()},
                    {"release", machine.release},
                    {"host_status", status == nullptr ? "unknown" : "ok"}});
  json::Value events = json::array();
  json::Value checks = json::array();
  if (status != nullptr) {
    for (const CheckStatus& check : status->checks) checks.push(public_check(check));
    for (const MachineEvent& event : status->events) events.push(to_json(event));
    out.set("listening", status->listening);
    if (!status->listens_on.empty()) out.set("listens_on", status->listens_on);
    out.set("restart_count", status->restart_count);
    if (!status->private_ip6.empty()) out.set("private_ip6", status->private_ip6);
    if (!status->error.empty()) out.set("error", status->error);
    if (status->started_at) out.set("started_at", to_rfc3339(*status->started_at));
  }
  out.set("checks", std::move(checks));
  out.set("events", std::move(events));
  return out;
}

}  // namespace perigee::model
