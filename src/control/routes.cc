#include "control/routes.h"

#include <algorithm>

#include "control/autostop.h"
#include "control/machine_view.h"
#include "model/checks.h"

namespace perigee::control {
namespace {

using model::MachineState;

std::vector<model::Service> services_of(const RouteInput& input) {
  if (input.current != nullptr) return input.current->config.services;
  for (const RouteMachine& each : input.machines) {
    if (!each.machine.config.services.empty()) return each.machine.config.services;
  }
  return {};
}

// A target is reached on the route's internal ports, so it must listen on the same ones.
bool serves(const model::MachineConfig& config, const std::vector<model::Service>& services) {
  return std::ranges::equal(config.services, services, [](const auto& a, const auto& b) {
    return a.internal_port == b.internal_port && a.protocol == b.protocol;
  });
}

bool may_wake(const RouteMachine& each) {
  return each.draining || is_wakeable(each.machine, each.status);
}

model::RouteTarget target_of(const RouteMachine& each) {
  return {
      .machine = each.machine.id,
      .instance_id = each.status->instance_id,
      .region = each.machine.region,
      .node = each.machine.node,
      .address = each.status->private_ip,
      .state = each.draining ? MachineState::stopping : effective_state(each.machine, each.status),
      .listening = each.status->listening,
      .wakeable = may_wake(each),
      .readiness = model::readiness(each.machine.config, *each.status)};
}

std::string reason_without_machines(const RouteInput& input) {
  if (input.last == nullptr) return "nothing is deployed yet: run `perigee deploy`";
  switch (input.last->status) {
    case model::ReleaseStatus::pending:
    case model::ReleaseStatus::running:
      return fmt::format("release v{} is being deployed", input.last->version);
    case model::ReleaseStatus::failed:
      return fmt::format("release v{} failed: {}", input.last->version, input.last->error);
    case model::ReleaseStatus::succeeded:
      break;
  }
  return "the app has no machines";
}

// Why none of them runs where somebody has put them all to rest; empty otherwise.
std::string resting_reason(const std::vector<RouteMachine>& machines) {
  const auto all = [&](model::DesiredState desired) {
    return std::ranges::all_of(
        machines, [=](const RouteMachine& each) { return each.machine.desired == desired; });
  };
  if (all(model::DesiredState::stopped)) return "its machines are stopped";
  if (all(model::DesiredState::suspended)) return "its machines are suspended";
  return {};
}

// Why the targets that are there take no requests now, as far as that is known.
std::string hold_back_reason(const RouteInput& input) {
  if (std::string resting = resting_reason(input.machines); !resting.empty()) return resting;
  for (const RouteMachine& each : input.machines) {
    if (each.status == nullptr || each.status->state != MachineState::started) continue;
    if (model::readiness(each.machine.config, *each.status) != model::Readiness::failing) continue;
    return fmt::format("machine {}: {}", each.machine.id,
                       model::check_complaint(each.machine.config, *each.status));
  }
  return {};
}

std::string reason_of(const RouteInput& input, const std::vector<model::Service>& services) {
  if (input.machines.empty()) return reason_without_machines(input);
  if (services.empty()) return "the app has no services: it takes no requests";
  const auto& machines = input.machines;
  const auto all = [&](auto condition) { return std::ranges::all_of(machines, condition); };
  if (all([](const RouteMachine& m) { return m.node_lost; }))
    return fmt::format("node {} does not report", machines.front().machine.node);
  if (all([](const RouteMachine& m) { return m.status == nullptr; }))
    return "its machines have not reported yet";
  if (all([](const RouteMachine& m) { return m.machine.cordoned; }))
    return input.current == nullptr ? reason_without_machines(input) : "its machines are cordoned";
  if (const std::string resting = resting_reason(machines); !resting.empty()) return resting;
  for (const RouteMachine& each : machines) {
    if (each.status != nullptr && !each.status->error.empty()) return each.status->error;
  }
  return "no machine serves its ports";
}

void add_host(model::AppRoute& route, const HostRecord& record) {
  route.hosts.push_back(record.host);
  for (const HostCertificate& each : record.certificates) {
    route.certificates.push_back(
        {.hosts = {record.host}, .chain_pem = each.chain_pem, .private_key = each.private_key});
  }
  if (record.challenge) route.challenges.push_back(*record.challenge);
}

}  // namespace

model::AppRoute derive_route(const RouteInput& input) {
  model::AppRoute route;
  route.app = input.app.name;
  route.hosts = {input.host};
  route.services = services_of(input);
  for (const model::AppAddress& each : input.app.addresses) {
    route.addresses.push_back(each.address);
  }
  route.shared_ports = input.app.shared_ports;
  if (input.certificate != nullptr && !input.certificate->private_key.empty()) {
    route.certificates.push_back({.hosts = {input.host},
                                  .chain_pem = input.certificate->certificate_pem,
                                  .private_key = input.certificate->private_key});
  }
  for (const HostRecord* each : input.hosts) add_host(route, *each);
  for (const RouteMachine& each : input.machines) {
    if (each.machine.cordoned || each.leaving || each.node_lost) continue;
    if (each.status == nullptr) continue;
    if (route.services.empty()) continue;
    if (each.status->private_ip.empty() && !may_wake(each)) continue;
    if (serves(each.machine.config, route.services)) route.targets.push_back(target_of(each));
  }
  route.reason = route.targets.empty() ? reason_of(input, route.services) : hold_back_reason(input);
  return route;
}

}  // namespace perigee::control
