// FeedReader: control's node feed, bytes in, machines, volumes and log-ins out (sans-I/O). JSON
// lines, as the internal API has them: an opening line, then a whole snapshot or the changes since
// `from`, then changes.
//
//   FeedReader reader(sink);
//   GET /internal/v1/feed/node/<node>?from={reader.position()}
//   reader.restart(); while (…) TRY_VOID(reader.feed(bytes));
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/id.h"
#include "base/result.h"
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

class FeedReader {
 public:
  explicit FeedReader(FeedSink& sink) : sink_(sink) {}

  // "<epoch>-<revision>", or empty before the first line: what to ask for next.
  std::string position() const;
  void restart();  // a new connection
  // An error ends the connection: the feed can't be trusted from here on.
  Result<void> feed(std::string_view bytes);

 private:
  Result<void> line(std::string_view text);
  Result<void> opening(const json::Value& value);
  Result<void> change(const json::Value& value);
  void machine_change(MachineId id, const json::Value* content);
  void volume_change(VolumeId id, const json::Value* content);
  void registry_change(std::string registry, const json::Value* content);
  void names_change(AppName app, const json::Value* content);

  FeedSink& sink_;
  std::string buffer_;
  std::string epoch_;          // of what the sink has been told in full
  std::string pending_epoch_;  // of the snapshot that is being read
  std::int64_t revision_ = 0;
  bool opened_ = false;
  struct Snapshot {
    std::set<MachineId> machines;
    std::set<VolumeId> volumes;
    std::set<std::string> registries;
    std::set<AppName> apps;
  };
  std::optional<Snapshot> snapshot_;  // while one is being read
};

}  // namespace perigee::worker
