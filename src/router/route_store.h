// RouteStore: the routes as the feed tells them, line by line, and as they are kept on disk. No
// I/O.
//
// A snapshot takes effect as a whole when it is complete; until then the old table serves. A route
// that can't be understood is reported and leaves the app's former one in place: one bad record
// must not take other apps down.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/json.h"
#include "routing/route_table.h"

namespace perigee::router {

class RouteStore {
 public:
  enum class Effect { none, changed };

  // A feed's first line; its lines follow through `apply`.
  Result<void> begin(std::string_view line);
  Result<Effect> apply(std::string_view line);

  // Where a feed goes on: "<epoch>-<revision>", empty: from the start.
  std::string position() const;
  std::int64_t revision() const { return revision_; }
  bool in_snapshot() const { return in_snapshot_; }  // whose end has not come yet
  const std::string& epoch() const { return epoch_; }
  routing::TablePtr table() const;

  // The lines of a file (`Lines`) as a whole, or nothing of them.
  Result<void> load(std::string_view text);
  class Lines;

 private:
  Result<Effect> change(std::string_view key, const json::Value* value);
  Result<Effect> change_app(const std::string& app, const json::Value* value);
  Result<Effect> change_node(const std::string& node, const json::Value* value);
  routing::RouteTable& changing() { return in_snapshot_ ? incoming_ : content_; }
  Effect changed() const { return in_snapshot_ ? Effect::none : Effect::changed; }
  Effect finish_snapshot();

  std::string epoch_;
  std::int64_t revision_ = 0;
  routing::RouteTable content_;
  bool in_snapshot_ = false;
  routing::RouteTable incoming_;
  std::string incoming_epoch_;
};

// What a store holds at one moment as a file for `load`: a feed's snapshot, a line at a time.
class RouteStore::Lines {
 public:
  explicit Lines(const RouteStore& store);
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;
  std::optional<std::string> next();  // with its line feed; nullopt: that were all

 private:
  std::string epoch_;
  std::int64_t revision_;
  std::vector<model::RouteNode> nodes_;
  std::vector<routing::RoutePtr> routes_;
  enum class At { opening, keys, ended } at_ = At::opening;
};

}  // namespace perigee::router
