// A control with several nodes, for tests: each reports what control wants of it as done, until it
// is cut off.
#pragma once

#include <set>

#include "control/control_fixture.h"

namespace perigee::control {

struct FleetFixture : ControlFixture {
  FleetFixture() {
    kill();
    config.silence = {.lost = 600ms, .given_up = 1500ms};
    start();
  }

  void add_node(const std::string& name, const std::string& region,
                std::int64_t memory_mib = 4096) {
    model::NodeReport report = node(memory_mib);
    report.node = NodeId(name);
    report.region = RegionCode(region);
    fleet[report.node] = std::move(report);
    report_all();
  }
  // Its reports stop; what runs there runs on.
  void cut_off(const std::string& name) { silent.insert(NodeId(name)); }
  void reconnect(const std::string& name) { silent.erase(NodeId(name)); }

  std::vector<model::Machine> wanted() {
    std::vector<model::Machine> out;
    for (const auto& entry : loop().run(store.list("/machines/"))->entries)
      out.push_back(*model::machine_from(*json::parse(entry.value)));
    return out;
  }
  // One round of reports: all that is wanted is done, after `change` had its way.
  void report_all(const Change& change = {}) {
    std::map<NodeId, model::NodeReport> reports = fleet;
    for (const model::Machine& machine : wanted()) {
      const auto report = reports.find(machine.node);
      if (report == reports.end()) continue;
      model::MachineStatus status = done(machine);
      status.private_ip = fmt::format("10.201.0.{}", report->second.machines.size() + 2);
      if (change) change(machine, status);
      report->second.machines.push_back(std::move(status));
    }
    for (auto& [id, report] : reports) {
      if (!silent.contains(id)) send_as(report);
    }
  }
  model::MachineStatus done(const model::Machine& machine) {
    using model::DesiredState;
    using model::MachineState;
    model::MachineStatus status;
    status.id = machine.id;
    status.instance_id = machine.instance_id;
    status.acted_sequence = machine.desired_sequence;
    status.listening = machine.desired == DesiredState::started;
    status.state = machine.desired == DesiredState::started     ? MachineState::started
                   : machine.desired == DesiredState::destroyed ? MachineState::destroyed
                                                                : MachineState::stopped;
    if (status.listening) status.started_at = machine.updated_at;
    return status;
  }
  void send_as(const model::NodeReport& report) {
    const std::string target = fmt::format("/internal/v1/nodes/{}/report", report.node);
    REQUIRE(internal("POST", target, model::to_json(report).dump()) == 204);
  }

  // Reports until `condition` holds, for at most ten seconds.
  template <typename F>
  bool becomes(F condition, const Change& change = {}) {
    for (int i = 0; i < 300; ++i) {
      report_all(change);
      if (condition()) return true;
      pass(30ms);
    }
    return false;
  }
  // Where the app's machines are: "fra-1 iad-1".
  std::string where(const std::string& app = "hello") {
    std::multiset<std::string> nodes;
    for (const model::Machine& machine : wanted()) {
      if (machine.app.str() == app && machine.desired != model::DesiredState::destroyed)
        nodes.insert(machine.node.str());
    }
    std::string out;
    for (const std::string& each : nodes) out += (out.empty() ? "" : " ") + each;
    return out;
  }
  void create(const std::string& app = "hello") {
    const std::string body = fmt::format(R"({{"app_name": "{}"}})", app);
    REQUIRE(call("POST", "/v1/apps", body).status == 201);
  }
  void deploy(int version, const std::string& body = kHello, const std::string& app = "hello") {
    const Got got = call("POST", "/v1/apps/" + app + "/releases", body);
    REQUIRE_MESSAGE(got.status == 202, got.text);
    REQUIRE(becomes([&] { return release_status(app, version) == "succeeded"; }));
  }

  std::map<NodeId, model::NodeReport> fleet;  // without machines
  std::set<NodeId> silent;
};

}  // namespace perigee::control
