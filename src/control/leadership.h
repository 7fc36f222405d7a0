// Leadership: which of several controls on one store does each of the background tasks.
//
//   /leaders/<task>    {holder, process, epoch}   written when a task changes hands
//   /controls/<node>   {process, beats}           written by a control that lives, every kBeat
//
// A control that has not been seen to beat for kClaimAfter, by the watcher's own clock, loses its
// tasks to whoever sees it first. It has stopped before: it leads only until kHold after its last
// beat began, by its own. No two machines' clocks are compared. What is still on its way is stopped
// by the fence: every transaction of a task expects the record that made this control its leader,
// and conflicts once there is another.
//
// With a store that only one control opens, that one takes all tasks at once and beats no more.
// Owned by Control, on its loop.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "async/event.h"
#include "base/id.h"
#include "control/fence.h"
#include "control/limits.h"
#include "store/store.h"

namespace perigee::control {

struct LeadershipConfig {
  enum class Controls { one, many } controls = Controls::one;
  NodeId node;          // where this control runs
  std::string process;  // unique to this run of it
  Duration beat = kLeaderBeat;
  Duration hold = kLeaderHold;
  Duration claim_after = kLeaderClaim;
};

struct LeaderRecord {
  NodeId holder;
  std::string process;
  std::int64_t epoch = 0;  // of this task's leaders
  bool operator==(const LeaderRecord&) const = default;
};

class Leadership {
 public:
  using Work = std::function<async::Task<void>()>;

  Leadership(async::Loop& loop, store::Store& store, LeadershipConfig config);
  // Before `run`. The fence lives as long as this.
  const Fence& add(const std::string& task);
  // Beats and claims, for ever.
  async::Task<void> run();
  // Runs what `work` makes whenever this control leads `task`, and cancels it when it does no more.
  async::Task<void> lead(std::string task, Work work);
  bool leads(const std::string& task) const;

 private:
  // A key as it was last read.
  struct Seen {
    store::Revision revision = 0;
    MonotonicTime since;  // when this revision was first seen
  };
  struct Task {
    Fence fence;
    LeaderRecord record;           // as it stands in the store
    store::Revision revision = 0;  // of `record`; 0: there is none
  };
  struct Claim {
    std::string task;
    std::int64_t epoch;
  };

  async::Task<Result<void>> look();
  async::Task<Result<void>> beat();
  void note(const store::Entry& leader);
  void note_controls(const store::Listing& listing);
  bool may_claim(const Task& task) const;
  std::vector<Claim> add_claims(store::Transaction& transaction) const;
  void give_up(Task& task);
  async::Task<void> won(const std::string& task);
  async::Task<void> lost(const std::string& task);
  std::string own_key() const;

  async::Loop& loop_;
  store::Store& store_;
  LeadershipConfig config_;
  std::map<std::string, Task> tasks_;
  std::map<std::string, Seen> controls_;  // by key
  MonotonicTime valid_until_;             // as far as this control may act on its records
  std::int64_t beats_ = 0;
  bool superseded_ = false;  // by a later process of this node
  async::Notify changed_;
};

}  // namespace perigee::control
