// A machine's health checks as one list, and what their results mean. Pure; the worker runs the
// checks of the list (worker/check_runner.h), control decides by the results.
#pragma once

#include <string>
#include <vector>

#include "model/types.h"

namespace perigee::model {

struct NamedCheck {
  std::string name;  // "servicecheck-00-http-8080", or the owner's
  Check check;       // with its port
  bool gates_routing = false;
  bool operator==(const NamedCheck&) const = default;
};

// Where the app is expected to accept connections: the port of its first service of TCP; 0: there
// is none, and nothing that tells whether datagrams are read.
int listening_port(const MachineConfig& config);

// Those of the services first, in order, then the others.
std::vector<NamedCheck> checks_of(const MachineConfig& config);

// By the checks that gate routing. A check that has passed once may be in `warning` (one failure is
// no failure yet) without being held against its machine.
Readiness readiness(const MachineConfig& config, const MachineStatus& status);

// All checks that gate routing pass.
bool gates_open(const MachineConfig& config, const MachineStatus& status);

// Every check passes, the informational ones too. True without any.
bool all_checks_pass(const MachineConfig& config, const MachineStatus& status);

// "check alive: HTTP 500 Internal Server Error" of the first that does not pass; empty: all do.
std::string check_complaint(const MachineConfig& config, const MachineStatus& status);

// The longest grace period.
Duration longest_grace(const MachineConfig& config);

std::string_view name(CheckHealth health);
std::string_view name(CheckType type);

}  // namespace perigee::model
