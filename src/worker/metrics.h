// What a node tells Prometheus of its machines and daemons, as a pure function from samples to
// text. Names: perigee_machine_* in base units, and fly.io's well-known fly_instance_* in theirs,
// with the labels app, region, host and instance (docs/metrics.md). metrics_source.h takes the
// samples.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "channel/types.h"
#include "json/json.h"
#include "model/types.h"
#include "sys/usage.h"
#include "vm/vmm_counters.h"

namespace perigee::worker {

struct MachineSample {
  MachineId machine;
  AppName app;
  RegionCode region;
  NodeId node;
  model::MachineStatus status;
  std::optional<channel::Stats> guest = {};  // nothing: it does not run, or did not answer
  std::optional<vm::VmmCounts> vmm_counts = {};
  std::optional<sys::ProcessUsage> vmm = {};
  std::optional<sys::ProcessUsage> monitor = {};
  std::optional<sys::InterfaceUsage> tap = {};
};

struct DaemonSample {
  std::string role;  // control, worker, router, perigeed
  sys::ProcessUsage usage;
};

// Of a host of an app's own.
struct CertificateSample {
  std::string host;
  std::string app;
  std::int64_t end_seconds = 0;    // Unix time when the first of its certificates ends; 0: none
  std::int64_t failed_orders = 0;  // in a row
};

struct NodeSample {
  std::vector<MachineSample> machines;
  std::vector<DaemonSample> daemons;
  std::vector<CertificateSample> certificates = {};  // of the fleet, where control runs
};

std::string metrics_text(const NodeSample& sample);

// The same of one machine for a person, as JSON: CPU, load and memory of guest and VMM.
json::Value usage_json(const MachineSample& sample);

}  // namespace perigee::worker
