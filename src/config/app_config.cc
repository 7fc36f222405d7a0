#include "config/app_config.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "config/check_config.h"
#include "config/egress_config.h"
#include "config/http_options.h"
#include "config/mounts.h"
#include "config/port_config.h"
#include "config/toml.h"
#include "config/vm_size.h"
#include "model/json.h"
#include "model/limits.h"
#include "model/signals.h"

namespace perigee::config {
namespace {

template <typename T>
void take(T& into, std::optional<T> value) {
  if (value) into = *std::move(value);
}

void take_int(int& into, std::optional<std::int64_t> value) {
  if (value) into = static_cast<int>(*value);
}

Result<void> read_names(Section& top, AppConfig& config) {
  TRY(const auto app, top.string("app"));
  if (app) {
    const auto name = model::parse_app_name(*app);
    if (!name) return top.wrong("app", name.error().context);
    config.app = *name;
  }
  TRY(const auto region, top.string("primary_region"));
  if (region) {
    const auto code = model::parse_region(*region);
    if (!code) return top.wrong("primary_region", code.error().context);
    config.primary_region = *code;
  }
  return {};
}

Result<void> read_stop(Section& top, AppConfig& config) {
  constexpr Duration kMaxKillTimeout = 300s;
  TRY(auto signal, top.string("kill_signal"));
  take(config.machine.stop.signal, std::move(signal));
  const auto number = model::signal_number(config.machine.stop.signal);
  if (!number) return top.wrong("kill_signal", number.error().context);
  TRY(const auto timeout, top.duration("kill_timeout"));
  take(config.machine.stop.timeout, timeout);
  if (config.machine.stop.timeout > kMaxKillTimeout) {
    return top.wrong("kill_timeout", "at most 300 seconds");
  }
  return {};
}

Result<void> read_build(Section& top, AppConfig& config) {
  TRY(auto build, top.section("build"));
  if (!build) return {};
  TRY_VOID(build->refuse({"builder", "buildpacks", "builtin", "settings", "compose"}));
  TRY(auto image, build->string("image"));
  TRY(auto dockerfile, build->string("dockerfile"));
  TRY(auto target, build->string("build-target"));
  TRY(auto ignore_file, build->string("ignorefile"));
  TRY(config.build.args, build->string_map("args"));
  take(config.build.image, std::move(image));
  take(config.build.dockerfile, std::move(dockerfile));
  take(config.build.target, std::move(target));
  take(config.build.ignore_file, std::move(ignore_file));
  if (!config.build.image.empty() && !config.build.dockerfile.empty()) {
    return build->wrong("image", "give an image or a dockerfile, not both");
  }
  build->warn_unknown();
  return {};
}

Result<void> read_env(Section& top, AppConfig& config) {
  TRY(config.machine.env, top.string_map("env"));
  for (const auto& [name, value] : config.machine.env) {
    if (name.starts_with("FLY_") || name.starts_with("PERIGEE_")) {
      return top.wrong("env",
                       fmt::format("{}: names with this prefix are set by the platform", name));
    }
  }
  return {};
}

Result<model::Concurrency> read_concurrency(Section& service) {
  constexpr std::int64_t kMaxLimit = 1'000'000;
  model::Concurrency out;
  TRY(auto section, service.section("concurrency"));
  if (!section) return out;
  TRY(const auto type, section->string("type"));
  if (type && *type != "connections" && *type != "requests") {
    return section->wrong("type", fmt::format("'{}' is not connections or requests", *type));
  }
  if (type == "requests") out.type = model::ConcurrencyType::requests;
  TRY(const auto balancing, section->string("balancing"));
  if (balancing && *balancing != "nearest" && *balancing != "balanced") {
    return section->wrong("balancing", fmt::format("'{}' is not nearest or balanced", *balancing));
  }
  if (balancing == "balanced") out.balancing = model::Balancing::balanced;
  TRY(const auto soft, section->integer("soft_limit", 1, kMaxLimit));
  TRY(const auto hard, section->integer("hard_limit", 1, kMaxLimit));
  take_int(out.hard_limit, hard);
  if (hard && !soft) out.soft_limit = std::min(out.soft_limit, out.hard_limit);
  take_int(out.soft_limit, soft);
  if (hard && out.hard_limit < out.soft_limit) {
    return section->wrong("hard_limit",
                          fmt::format("{} is below soft_limit {}", out.hard_limit, out.soft_limit));
  }
  section->warn_unknown();
  return out;
}

// "off", "stop", "suspend", or the older true and false.
Result<model::Autostop> read_autostop(Section& service) {
  const TomlValue* value = service.value("auto_stop_machines");
  if (value == nullptr) return model::Autostop::off;
  if (const auto* flag = std::get_if<bool>(&value->data)) {
    return *flag ? model::Autostop::stop : model::Autostop::off;
  }
  const std::string* text = value->string();
  if (text != nullptr && *text == "off") return model::Autostop::off;
  if (text != nullptr && *text == "stop") return model::Autostop::stop;
  if (text != nullptr && *text == "suspend") return model::Autostop::suspend;
  return service.wrong("auto_stop_machines", "expected \"off\", \"stop\" or \"suspend\"");
}

// What [http_service] and [[services]] have in common.
Result<model::Service> read_service_basics(Section& section) {
  constexpr std::int64_t kMaxMachines = 1000;
  model::Service service;
  TRY(const auto port, section.integer("internal_port", 1, 65535));
  take_int(service.internal_port, port);
  TRY(service.concurrency, read_concurrency(section));
  TRY(service.autostop, read_autostop(section));
  TRY(const auto start, section.boolean("auto_start_machines"));
  take(service.autostart, start);
  TRY(const auto minimum, section.integer("min_machines_running", 0, kMaxMachines));
  take_int(service.min_machines_running, minimum);
  return service;
}

Result<void> read_http_service(Section& top, AppConfig& config) {
  TRY(auto section, top.section("http_service"));
  if (!section) return {};
  TRY_VOID(section->refuse({"machine_checks", "processes", "tls_options"}));
  TRY(model::Service service, read_service_basics(*section));
  TRY(service.checks, read_checks(*section, "checks", model::CheckType::http));
  TRY(const auto force, section->boolean("force_https"));
  TRY(const model::HttpOptions options, read_http_options(*section));
  service.ports = {{.port = 80,
                    .handlers = {model::Handler::http},
                    .force_https = force.value_or(false),
                    .http_options = options},
                   {.port = 443,
                    .handlers = {model::Handler::tls, model::Handler::http},
                    .http_options = options}};
  config.machine.services.push_back(std::move(service));
  section->warn_unknown();
  return {};
}

Result<void> read_services(Section& top, AppConfig& config) {
  TRY(auto sections, top.sections("services"));
  for (Section& section : sections) {
    TRY_VOID(section.refuse({"machine_checks", "processes", "script_checks"}));
    TRY(model::Service service, read_service_basics(section));
    TRY(service.protocol, read_protocol(section));
    TRY(service.checks, read_checks(section, "tcp_checks", model::CheckType::tcp));
    TRY(auto http_checks, read_checks(section, "http_checks", model::CheckType::http));
    service.checks.insert(service.checks.end(), http_checks.begin(), http_checks.end());
    TRY(service.ports, read_ports(section));
    section.warn_unknown();
    config.machine.services.push_back(std::move(service));
  }
  return {};
}

Result<void> read_vm(Section& top, AppConfig& config) {
  TRY(auto sections, top.sections("vm"));
  if (sections.size() > 1) {
    return fail(Code::unsupported,
                "{}:{}: more than one [[vm]] needs process groups, which are not yet supported",
                top.reading().file, top.line("vm"));
  }
  for (Section& vm : sections) {
    TRY_VOID(vm.refuse(
        {"gpus", "gpu_kind", "kernel_args", "host_dedication_id", "persist_rootfs", "processes"}));
    TRY(config.machine.guest, read_vm_size(vm));
    TRY(config.machine.limits, read_vm_limits(vm));
    vm.warn_unknown();
  }
  return {};
}

Result<void> read_restart(Section& top, AppConfig& config) {
  constexpr std::int64_t kMaxRetries = 1000;
  TRY(auto sections, top.sections("restart"));
  for (Section& restart : sections) {
    TRY_VOID(restart.refuse({"processes"}));
    TRY(const auto policy, restart.string("policy"));
    if (policy == "always") {
      config.machine.restart.policy = model::RestartKind::always;
    } else if (policy == "never" || policy == "no") {
      config.machine.restart.policy = model::RestartKind::no;
    } else if (policy && *policy != "on-failure") {
      return restart.wrong("policy",
                           fmt::format("'{}' is not always, never or on-failure", *policy));
    }
    TRY(const auto retries, restart.integer("retries", 0, kMaxRetries));
    take_int(config.machine.restart.max_retries, retries);
    restart.warn_unknown();
  }
  return {};
}

Result<void> refuse_later(const Section& top) {
  return top.refuse({"processes", "statics", "metrics", "files", "swap_size_mb", "console_command",
                     "host_dedication_id", "machine_config", "container", "deploy",
                     "experimental"});
}

}  // namespace

Result<std::vector<model::Service>> read_app_services(Section& app) {
  AppConfig config;
  TRY_VOID(read_http_service(app, config));
  TRY_VOID(read_services(app, config));
  TRY_VOID_AS(model::validate_ports(config.machine.services), app.reading().file);
  return std::move(config.machine.services);
}

Result<AppConfig> parse_app_config(std::string_view text, std::string_view file) {
  TRY(const TomlValue document, parse_toml(text, file));
  Reading reading{.file = std::string(file), .warnings = {}};
  Section top(reading, document, "");
  AppConfig config;
  TRY_VOID(refuse_later(top));
  TRY_VOID(read_names(top, config));
  TRY_VOID(read_stop(top, config));
  TRY_VOID(read_build(top, config));
  TRY_VOID(read_env(top, config));
  TRY_VOID(read_http_service(top, config));
  TRY_VOID(read_services(top, config));
  TRY(config.machine.checks, read_named_checks(top));
  TRY_VOID(read_vm(top, config));
  TRY_VOID(read_restart(top, config));
  TRY(config.machine.mounts, read_mounts(top));
  TRY(config.egress, read_egress(top));
  top.warn_unknown();
  TRY_VOID_AS(model::validate(config.machine), file);
  config.warnings = std::move(reading.warnings);
  return config;
}

Result<AppConfig> load_app_config(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return fail(Code::not_found,
                "{}: no such file (run `perigee launch` to make one, or give -c FILE)", path);
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return parse_app_config(text, path);
}

std::string render_app_config(const NewApp& app) {
  std::string out = fmt::format(
      "# Made by `perigee launch`; docs/perigee.toml.md lists every key.\napp = \"{}\"\n", app.app);
  if (!app.primary_region.empty())
    out += fmt::format("primary_region = \"{}\"\n", app.primary_region);
  out += "\n[build]\n";
  out += app.image.empty() ? "  dockerfile = \"Dockerfile\"\n"
                           : fmt::format("  image = {}\n", toml_quoted(app.image));
  out +=
      fmt::format("\n[http_service]\n  internal_port = {}  # where the app listens, on 0.0.0.0\n",
                  app.internal_port);
  out += "  force_https = false\n";
  out += fmt::format("\n[[vm]]\n  size = \"shared-cpu-1x\"\n  memory = \"{}mb\"\n", app.memory_mib);
  return out;
}

}  // namespace perigee::config
