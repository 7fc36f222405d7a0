#include "model/checks.h"

#include <algorithm>

namespace perigee::model {
namespace {

const CheckStatus* find(const MachineStatus& status, const std::string& name) {
  const auto found = std::ranges::find(status.checks, name, &CheckStatus::name);
  return found == status.checks.end() ? nullptr : &*found;
}

bool passes(const CheckStatus* status) {
  return status != nullptr && status->status == CheckHealth::passing;
}

}  // namespace

std::string_view name(CheckHealth health) {
  switch (health) {
    case CheckHealth::passing:
      return "passing";
    case CheckHealth::warning:
      return "warning";
    case CheckHealth::critical:
      break;
  }
  return "critical";
}

std::string_view name(CheckType type) {
  return type == CheckType::tcp ? "tcp" : "http";
}

int listening_port(const MachineConfig& config) {
  const auto found = std::ranges::find(config.services, Protocol::tcp, &Service::protocol);
  return found == config.services.end() ? 0 : found->internal_port;
}

std::vector<NamedCheck> checks_of(const MachineConfig& config) {
  std::vector<NamedCheck> all;
  for (const Service& service : config.services) {
    for (Check check : service.checks) {
      if (check.port == 0) check.port = service.internal_port;
      std::string name =
          fmt::format("servicecheck-{:02}-{}-{}", all.size(), model::name(check.type), check.port);
      all.push_back({.name = std::move(name), .check = std::move(check), .gates_routing = true});
    }
  }
  for (auto [name, check] : config.checks) {
    if (check.port == 0) check.port = listening_port(config);
    const bool gates = check.kind == CheckKind::readiness;
    all.push_back({.name = std::move(name), .check = std::move(check), .gates_routing = gates});
  }
  return all;
}

Readiness readiness(const MachineConfig& config, const MachineStatus& status) {
  bool gated = false;
  for (const NamedCheck& each : checks_of(config)) {
    if (!each.gates_routing) continue;
    gated = true;
    const CheckStatus* known = find(status, each.name);
    if (known != nullptr && known->status == CheckHealth::critical) return Readiness::failing;
  }
  if (!gated) return Readiness::unchecked;
  return status.listening ? Readiness::ready : Readiness::pending;
}

bool gates_open(const MachineConfig& config, const MachineStatus& status) {
  return std::ranges::all_of(checks_of(config), [&](const NamedCheck& each) {
    return !each.gates_routing || passes(find(status, each.name));
  });
}

bool all_checks_pass(const MachineConfig& config, const MachineStatus& status) {
  return std::ranges::all_of(
      checks_of(config), [&](const NamedCheck& each) { return passes(find(status, each.name)); });
}

std::string check_complaint(const MachineConfig& config, const MachineStatus& status) {
  for (const NamedCheck& each : checks_of(config)) {
    const CheckStatus* known = find(status, each.name);
    if (known == nullptr) return fmt::format("check {}: not run yet", each.name);
    if (!passes(known)) return fmt::format("check {}: {}", each.name, known->output);
  }
  return {};
}

Duration longest_grace(const MachineConfig& config) {
  Duration longest{};
  for (const NamedCheck& each : checks_of(config)) {
    longest = std::max(longest, each.check.grace_period);
  }
  return longest;
}

}  // namespace perigee::model
