// FeedDecoder: control's node feed as the worker means it: keys and values in (feed/reader.h),
// machines, volumes, log-ins and names out. No I/O.
//
//   FeedDecoder decoder(sink);
//   feed::Follower(host, control, "/internal/v1/feed/node/<node>", "worker", decoder)
#pragma once

#include <set>
#include <string>

#include "base/id.h"
#include "feed/reader.h"
#include "json/json.h"
#include "model/names.h"
#include "model/registry.h"
#include "model/types.h"

namespace perigee::worker {

// Who is told. Called in the order of the feed.
class FeedSink {
 public:
  virtual ~FeedSink() = default;
  virtual void machine_wanted(model::Machine machine) = 0;
  virtual void machine_gone(MachineId id) = 0;
  // A snapshot is complete: these machines are all there are.
  virtual void synced(const std::set<MachineId>& machines) = 0;
  virtual void volume_wanted(model::Volume volume) = 0;
  virtual void volume_gone(VolumeId id) = 0;
  // As synced(), and before it.
  virtual void volumes_synced(const std::set<VolumeId>& volumes) = 0;
  virtual void registry_wanted(model::RegistryLogin login) = 0;
  virtual void registry_gone(std::string registry) = 0;
  virtual void registries_synced(const std::set<std::string>& registries) = 0;
  virtual void names_told(model::AppNames names) = 0;
  virtual void names_gone(AppName app) = 0;
  virtual void names_synced(const std::set<AppName>& apps) = 0;  // likewise
};

class FeedDecoder : public feed::Sink {
 public:
  explicit FeedDecoder(FeedSink& sink) : sink_(sink) {}

  void changed(const std::string& key, const json::Value* value) override;
  void synced(const std::set<std::string>& keys) override;
  void settled() override {}

 private:
  void machine_change(MachineId id, const json::Value* content);
  void volume_change(VolumeId id, const json::Value* content);
  void registry_change(std::string registry, const json::Value* content);
  void names_change(AppName app, const json::Value* content);

  FeedSink& sink_;
};

}  // namespace perigee::worker
