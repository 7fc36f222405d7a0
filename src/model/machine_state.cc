#include "model/machine_state.h"

#include <algorithm>
#include <array>

#include "model/json.h"
#include "model/json_parts.h"

namespace perigee::model {
namespace {

using enum MachineState;

constexpr EnumNames<MachineState, 11> kNames{{{created, "created"},
                                              {starting, "starting"},
                                              {started, "started"},
                                              {stopping, "stopping"},
                                              {stopped, "stopped"},
                                              {suspending, "suspending"},
                                              {suspended, "suspended"},
                                              {restarting, "restarting"},
                                              {destroying, "destroying"},
                                              {destroyed, "destroyed"},
                                              {failed, "failed"}}};

// From each state, in the order of the enumeration. `started` may go to `stopped` and `failed` at
// once: the app exits by itself, or its VMM dies.
constexpr std::array kFromCreated{starting, stopped, destroying, failed};
constexpr std::array kFromStarting{started, stopping, stopped, restarting, destroying, failed};
constexpr std::array kFromStarted{stopping, stopped, suspending, restarting, destroying, failed};
constexpr std::array kFromStopping{stopped, destroying, failed};
constexpr std::array kFromStopped{starting, destroying};
constexpr std::array kFromSuspending{suspended,  started,    stopping, stopped,
                                     restarting, destroying, failed};
constexpr std::array kFromSuspended{starting, started, stopped, destroying, failed};
constexpr std::array kFromRestarting{starting, stopping, stopped, destroying, failed};
constexpr std::array kFromDestroying{destroyed};
constexpr std::array kFromFailed{starting, restarting, stopped, destroying};

}  // namespace

std::span<const MachineState> successors(MachineState from) {
  switch (from) {
    case created:
      return kFromCreated;
    case starting:
      return kFromStarting;
    case started:
      return kFromStarted;
    case stopping:
      return kFromStopping;
    case stopped:
      return kFromStopped;
    case suspending:
      return kFromSuspending;
    case suspended:
      return kFromSuspended;
    case restarting:
      return kFromRestarting;
    case destroying:
      return kFromDestroying;
    case failed:
      return kFromFailed;
    case destroyed:
      break;
  }
  return {};
}

bool may_follow(MachineState from, MachineState to) {
  return std::ranges::count(successors(from), to) > 0;
}

Result<MachineState> transition(MachineState from, MachineState to) {
  if (may_follow(from, to)) return to;
  return fail(Code::conflict, "a machine that is {} can't become {}", name(from), name(to));
}

bool is_stable(MachineState state) {
  constexpr std::array kStable{created, started, stopped, suspended, destroyed, failed};
  return std::ranges::count(kStable, state) > 0;
}

std::string_view name(MachineState state) {
  return name_of(kNames, state);
}

Result<MachineState> machine_state_from(std::string_view text) {
  return parse_enum(kNames, text);
}

}  // namespace perigee::model
