// plan_release: the next step of a deploy, from what is there. Pure, and without memory of its own:
// after a restart of control the same facts give the same step, so a deploy goes on where it was.
//
// A deploy makes all machines of the release first, kept out of routing, and waits until each runs
// and listens. Then one transaction switches: the app's current release, the new machines into
// routing, the old ones out. When the routers know, the old machines go. An app that exits, or does
// not listen in time, fails the deploy: its machines go, the old ones never noticed.
//
// A volume is of one machine at a time, so a machine that holds one can't be replaced by another
// beside it: it is taken over, one after the other, each updated in place and awaited. When that
// fails, those that were taken over go back to the app's current release.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/context.h"
#include "control/records.h"
#include "model/types.h"

namespace perigee::control {

struct ReleaseMachine {
  model::Machine machine;
  std::optional<model::MachineStatus> status;
};

struct ReleaseView {
  model::App app;
  ReleaseRecord release;
  std::vector<ReleaseMachine> ours;  // of this release, not to be destroyed
  int others = 0;                    // machines of other releases, likewise
  std::vector<MachineId> holders;    // those of them that hold the volumes that this release mounts
  bool drained = false;              // the routers have had the switch for long enough
};

struct ReleaseStep {
  enum class Kind {
    wait,       // until something changes, or `wake_at`
    resolve,    // the image's name to a digest
    take_over,  // `machine`, which holds its volumes
    create,     // `missing` machines
    activate,   // switch routing to this release
    drain,      // give routers and requests their time
    retire,     // the other releases' machines
    succeed,
    fail,  // for `reason`
  };
  Kind kind = Kind::wait;
  int missing = 0;
  MachineId machine{};
  std::string reason{};
  MachineId culprit{};  // the machine whose output tells more; may be empty
  std::optional<WallTime> wake_at{};
  bool operator==(const ReleaseStep&) const = default;
};

ReleaseStep plan_release(const ReleaseView& view, WallTime now, const DeployTimes& times);

// What a deploy's watcher is told of the machines' progress, in order; each sentence once.
std::vector<std::string> progress_of(const ReleaseView& view);

}  // namespace perigee::control
