// Guests: the machines of one node as its worker keeps them, by what the node's feed says. What
// runs outlives the worker's process, and is started again after a loss of power.
#pragma once

#include <map>
#include <set>

#include "async/event.h"
#include "fleet_sim/census.h"
#include "model/types.h"
#include "worker/feed.h"

namespace perigee::fleet_sim {

inline constexpr Duration kBootTime = 400ms;

class Guests : public worker::FeedSink {
 public:
  struct Guest {
    model::Machine machine;
    model::MachineStatus status;
    MonotonicTime since;  // it has been starting, while it does
    bool runs() const { return status.state == model::MachineState::started; }
  };

  Guests(async::Loop& loop, Census& census, int node)
      : loop_(loop), census_(census), node_(node), changed_(loop) {}

  // It has been running since before the simulation began.
  void adopt(model::Machine machine);
  void lose_power();
  // Lets run what has had the time to boot; true: some still boot.
  bool boot();

  const std::map<MachineId, Guest>& all() const { return guests_; }
  bool runs(const MachineId& id) const;
  // Null: it is not there.
  const model::MachineStatus* status(const MachineId& id) const;
  std::vector<model::MachineStatus> statuses() const;
  const std::map<AppName, model::AppNames>& names() const { return names_; }
  async::Notify& changed() { return changed_; }  // of what is wanted

  void machine_wanted(model::Machine machine) override;
  void machine_gone(MachineId id) override;
  void synced(const std::set<MachineId>& machines) override;
  void volume_wanted(model::Volume) override {}
  void volume_gone(VolumeId) override {}
  void volumes_synced(const std::set<VolumeId>&) override {}
  void registry_wanted(model::RegistryLogin) override {}
  void registry_gone(std::string) override {}
  void registries_synced(const std::set<std::string>&) override {}
  void names_told(model::AppNames names) override { names_[names.app] = std::move(names); }
  void names_gone(AppName app) override { names_.erase(app); }
  void names_synced(const std::set<AppName>& apps) override;

 private:
  Guest& make(const model::Machine& machine);
  void destroy(Guest& guest);

  async::Loop& loop_;
  Census& census_;
  int node_;
  async::Notify changed_;
  std::map<MachineId, Guest> guests_;
  int addresses_ = 0;  // given out, none twice
  std::map<AppName, model::AppNames> names_;
};

}  // namespace perigee::fleet_sim
