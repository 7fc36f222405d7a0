// JSON of MachineConfig and what it holds, in the Machines API's shape.
#include <array>

#include "base/text.h"
#include "model/json.h"
#include "model/json_checks.h"
#include "model/json_parts.h"
#include "model/limits.h"
#include "model/signals.h"

namespace perigee::model {
namespace {

constexpr EnumNames<ConcurrencyType, 2> kConcurrencyTypes{
    {{ConcurrencyType::connections, "connections"}, {ConcurrencyType::requests, "requests"}}};
constexpr EnumNames<Balancing, 2> kBalancings{
    {{Balancing::nearest, "nearest"}, {Balancing::balanced, "balanced"}}};
constexpr EnumNames<Schedule, 4> kSchedules{{{Schedule::hourly, "hourly"},
                                             {Schedule::daily, "daily"},
                                             {Schedule::weekly, "weekly"},
                                             {Schedule::monthly, "monthly"}}};
constexpr EnumNames<RestartKind, 3> kRestartKinds{{{RestartKind::no, "no"},
                                                   {RestartKind::on_failure, "on-failure"},
                                                   {RestartKind::always, "always"}}};

json::Value to_json(const Guest& guest) {
  return json::object(
      {{"cpu_kind", guest.cpu_kind}, {"cpus", guest.cpus}, {"memory_mb", guest.memory_mib}});
}

Result<Guest> guest_from(const json::Value& value) {
  Guest guest;
  TRY(guest.cpu_kind, value.optional_string("cpu_kind", guest.cpu_kind));
  TRY(guest.cpus, int_in(value, "cpus", guest.cpus, 1, kMaxCpus));
  TRY(guest.memory_mib, int_in(value, "memory_mb", guest.memory_mib, kMinMemoryMib, kMaxMemoryMib));
  return guest;
}

json::Value to_json(const MachineLimits& limits) {
  json::Value out = json::object();
  if (limits.cpu_percent > 0) out.set("cpu_percent", limits.cpu_percent);
  if (limits.net_mbit > 0) out.set("net_mbit", limits.net_mbit);
  if (limits.disk_iops > 0) out.set("disk_iops", limits.disk_iops);
  if (limits.disk_mib_s > 0) out.set("disk_mib_s", limits.disk_mib_s);
  return out;
}

Result<MachineLimits> limits_from(const json::Value& value) {
  MachineLimits limits;
  TRY(limits.cpu_percent, int_in(value, "cpu_percent", 0, 0, kMaxCpus * 100));
  TRY(limits.net_mbit, int_in(value, "net_mbit", 0, 0, kMaxNetMbit));
  TRY(limits.disk_iops, int_in(value, "disk_iops", 0, 0, kMaxDiskIops));
  TRY(limits.disk_mib_s, int_in(value, "disk_mib_s", 0, 0, kMaxDiskMibPerSecond));
  return limits;
}

json::Value to_json(const Concurrency& concurrency) {
  json::Value out = json::object({{"type", name_of(kConcurrencyTypes, concurrency.type)},
                                  {"soft_limit", concurrency.soft_limit}});
  if (concurrency.hard_limit > 0) out.set("hard_limit", concurrency.hard_limit);
  if (concurrency.balancing != Balancing::nearest) {
    out.set("balancing", name_of(kBalancings, concurrency.balancing));
  }
  return out;
}

Result<Concurrency> concurrency_from(const json::Value& value) {
  constexpr int kMaxLimit = 1'000'000;
  Concurrency out;
  TRY(out.type, enum_in(kConcurrencyTypes, value, "type", out.type));
  TRY(out.balancing, enum_in(kBalancings, value, "balancing", out.balancing));
  TRY(out.soft_limit, int_in(value, "soft_limit", out.soft_limit, 1, kMaxLimit));
  TRY(out.hard_limit, int_in(value, "hard_limit", out.hard_limit, 0, kMaxLimit));
  if (out.hard_limit > 0 && out.hard_limit < out.soft_limit) {
    return fail(Code::invalid_argument, "hard_limit: {} is below soft_limit {}", out.hard_limit,
                out.soft_limit);
  }
  return out;
}

json::Value autostop_json(Autostop autostop) {
  if (autostop == Autostop::suspend) return "suspend";
  return autostop == Autostop::stop;
}

// false | true | "off" | "stop" | "suspend": the API's forms, old and new.
Result<Autostop> autostop_from(const json::Value& value) {
  const json::Value* member = value.find("autostop");
  if (member == nullptr || member->is_null()) return Autostop::off;
  if (const auto flag = member->boolean()) return *flag ? Autostop::stop : Autostop::off;
  constexpr EnumNames<Autostop, 3> kNames{
      {{Autostop::off, "off"}, {Autostop::stop, "stop"}, {Autostop::suspend, "suspend"}}};
  return enum_in(kNames, value, "autostop", Autostop::off);
}

json::Value checks_json(const std::vector<Check>& checks) {
  json::Value out = json::array();
  for (const Check& check : checks) out.push(to_json(check));
  return out;
}

json::Value to_json(const Service& service) {
  json::Value ports = json::array();
  for (const Port& port : service.ports) ports.push(to_json(port));
  json::Value out = json::object({{"protocol", name(service.protocol)},
                                  {"internal_port", service.internal_port},
                                  {"ports", std::move(ports)},
                                  {"concurrency", to_json(service.concurrency)},
                                  {"autostart", service.autostart},
                                  {"autostop", autostop_json(service.autostop)},
                                  {"min_machines_running", service.min_machines_running}});
  if (!service.checks.empty()) out.set("checks", checks_json(service.checks));
  return out;
}

Result<Service> service_from(const json::Value& value) {
  Service service;
  TRY(service.protocol, protocol_in(value));
  TRY(service.internal_port, int_in(value, "internal_port", service.internal_port, 1, 65535));
  TRY(service.ports, list_of<Port>(value, "ports", kMaxPortsPerService, port_from));
  if (const json::Value* member = value.find("concurrency");
      member != nullptr && !member->is_null()) {
    TRY_AS(service.concurrency, concurrency_from(*member), "concurrency");
  }
  TRY(service.autostart, value.optional_bool("autostart", true));
  TRY(service.autostop, autostop_from(value));
  TRY(service.min_machines_running, int_in(value, "min_machines_running", 0, 0, 1000));
  TRY(service.checks, list_of<Check>(value, "checks", kMaxChecks, check_from));
  return service;
}

void set_list(json::Value& out, std::string_view key,
              const std::optional<std::vector<std::string>>& list) {
  if (list) out.set(key, json::strings(*list));
}

Result<std::optional<std::vector<std::string>>> list_from(const json::Value& value,
                                                          std::string_view key) {
  const json::Value* member = value.find(key);
  if (member == nullptr || member->is_null()) return std::nullopt;
  return value.optional_strings(key);
}

json::Value to_json(const Init& init) {
  json::Value out = json::object();
  set_list(out, "exec", init.exec);
  set_list(out, "entrypoint", init.entrypoint);
  set_list(out, "cmd", init.cmd);
  if (init.tty) out.set("tty", true);
  return out;
}

Result<Init> init_from(const json::Value& value) {
  Init init;
  TRY(init.exec, list_from(value, "exec"));
  TRY(init.entrypoint, list_from(value, "entrypoint"));
  TRY(init.cmd, list_from(value, "cmd"));
  TRY(init.tty, value.optional_bool("tty", false));
  return init;
}

json::Value to_json(const RestartPolicy& restart) {
  return json::object(
      {{"policy", name_of(kRestartKinds, restart.policy)}, {"max_retries", restart.max_retries}});
}

Result<RestartPolicy> restart_from(const json::Value& value) {
  RestartPolicy out;
  TRY(out.policy, enum_in(kRestartKinds, value, "policy", out.policy));
  TRY(out.max_retries, int_in(value, "max_retries", out.max_retries, 0, 1000));
  return out;
}

}  // namespace

json::Value to_json(const StopConfig& stop) {
  return json::object(
      {{"signal", stop.signal}, {"timeout", fmt::format("{}ms", to_ms(stop.timeout))}});
}

Result<StopConfig> stop_config_from(const json::Value& value, StopConfig out) {
  TRY(out.signal, value.optional_string("signal", out.signal));
  TRY_AS([[maybe_unused]] const int number, signal_number(out.signal), "signal");
  if (const json::Value* timeout = value.find("timeout");
      timeout != nullptr && !timeout->is_null()) {
    if (const auto ns = timeout->integer()) {
      out.timeout = Duration(*ns);  // the API's Go durations are nanoseconds
    } else {
      TRY(const std::string text, value.require_string("timeout"));
      TRY_AS(out.timeout, parse_duration(text), "timeout");
    }
    if (out.timeout < 0s || out.timeout > kMaxStopTimeout) {
      return fail(Code::invalid_argument, "timeout: must be from 0 to 300 s");
    }
  }
  return out;
}

namespace {

template <typename T, typename F>
Result<void> read_part(const json::Value& value, std::string_view key, T& into, F read) {
  const json::Value* member = value.find(key);
  if (member == nullptr || member->is_null()) return {};
  if (!member->is_object()) return fail(Code::invalid_argument, "{}: expected an object", key);
  TRY_AS(into, read(*member), key);
  return {};
}

}  // namespace

json::Value to_json(const MachineConfig& config) {
  json::Value services = json::array();
  for (const Service& service : config.services) services.push(to_json(service));
  json::Value out = json::object({{"image", config.image},
                                  {"env", json::string_map(config.env)},
                                  {"init", to_json(config.init)},
                                  {"guest", to_json(config.guest)},
                                  {"services", std::move(services)},
                                  {"metadata", json::string_map(config.metadata)},
                                  {"restart", to_json(config.restart)},
                                  {"stop_config", to_json(config.stop)},
                                  {"auto_destroy", config.auto_destroy}});
  if (!config.mounts.empty()) {
    json::Value mounts = json::array();
    for (const Mount& mount : config.mounts) mounts.push(to_json(mount));
    out.set("mounts", std::move(mounts));
  }
  if (config.limits != MachineLimits()) out.set("limits", to_json(config.limits));
  if (!config.checks.empty()) out.set("checks", to_json(config.checks));
  if (config.schedule != Schedule::none) out.set("schedule", name_of(kSchedules, config.schedule));
  return out;
}

Result<MachineConfig> machine_config_from(const json::Value& value) {
  if (!value.is_object()) return fail(Code::invalid_argument, "config: expected an object");
  MachineConfig config;
  TRY(config.image, value.optional_string("image"));
  TRY(config.env, value.optional_string_map("env"));
  TRY(config.metadata, value.optional_string_map("metadata"));
  TRY_VOID(read_part(value, "init", config.init, init_from));
  TRY_VOID(read_part(value, "guest", config.guest, guest_from));
  TRY_VOID(read_part(value, "limits", config.limits, limits_from));
  TRY_VOID(read_part(value, "restart", config.restart, restart_from));
  TRY_VOID(read_part(value, "stop_config", config.stop,
                     [](const json::Value& part) { return stop_config_from(part, {}); }));
  TRY(config.services, list_of<Service>(value, "services", kMaxServices, service_from));
  TRY(config.mounts, list_of<Mount>(value, "mounts", kMaxMounts, mount_from));
  TRY(config.checks, named_checks_from(value));
  TRY(config.auto_destroy, value.optional_bool("auto_destroy", false));
  TRY(config.schedule, enum_in(kSchedules, value, "schedule", Schedule::none));
  TRY_VOID(validate(config));
  return config;
}

namespace {

Result<void> validate_env(const StringMap& env) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : env) {
    if (name.empty() || name.find('=') != std::string::npos ||
        name.find('\0') != std::string::npos || value.find('\0') != std::string::npos) {
      return fail(Code::invalid_argument, "env: '{}' is not a name for a variable", name);
    }
    bytes += name.size() + value.size() + 2;
  }
  if (env.size() > kMaxEnv || bytes > kMaxEnvBytes) {
    return fail(Code::invalid_argument, "env: at most {} variables of {} bytes in all", kMaxEnv,
                kMaxEnvBytes);
  }
  return {};
}

}  // namespace

Result<void> validate(const MachineConfig& config) {
  constexpr int kMemoryStep = 64;
  if (config.guest.memory_mib % kMemoryStep != 0) {
    return fail(Code::invalid_argument, "guest.memory_mb: must be a multiple of {} from {}",
                kMemoryStep, kMinMemoryMib);
  }
  TRY_VOID(validate_env(config.env));
  for (const Mount& mount : config.mounts) TRY_VOID(validate_mount(mount));
  TRY_VOID(validate_ports(config.services));
  return validate_checks(config);
}

}  // namespace perigee::model
