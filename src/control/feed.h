// Feed: a set of keys with JSON texts that receivers follow, as the internal API serves it
// (docs/formats/feed.md). In memory; a restart of control begins a new epoch.
//
// The feed keeps no log of changes but each key's newest value with the revision of its change:
// what a receiver missed between two revisions is the newest value of each key changed since.
// Deleted keys are remembered up to a bound; a receiver from before that gets a snapshot.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "async/event.h"
#include "http/message.h"

namespace perigee::control {

class Feed {
 public:
  Feed(async::Loop& loop, std::string epoch);

  // JSON text, or nullopt to delete. Nothing happens where the value is the same.
  void set(const std::string& key, std::optional<std::string> value);
  const std::string* find(const std::string& key) const;
  std::vector<std::string> keys() const;  // that have a value
  std::int64_t revision() const { return revision_; }

  // The text that brings a receiver at `revision` up to date; nullopt where that takes a snapshot.
  std::optional<std::string> changes_since(std::int64_t revision) const;
  std::string snapshot() const;  // opening line, all keys, and the line that ends it
  std::string opening(std::int64_t revision) const;  // of a stream of changes only
  // "<epoch>-<revision>" of this epoch; nullopt for any other.
  std::optional<std::int64_t> resume_at(std::string_view from) const;

  // Writes to one receiver, whose response has been started, until it is gone.
  async::Task<Result<void>> serve(std::string from, http::ResponseWriter& response);
  // Waits until every receiver has been sent `revision`, or `at`.
  async::Task<void> delivered(std::int64_t revision, MonotonicTime at);

 private:
  struct Item {
    std::optional<std::string> value;
    std::int64_t revision = 0;
  };
  // A receiver's place, known to the feed while it is served.
  class Receiver;

  bool all_sent(std::int64_t revision) const;
  async::Task<void> changed_since(std::int64_t revision);
  async::Task<bool> sent_to_all(std::int64_t revision);
  async::Task<Result<void>> stream(Receiver& receiver, http::ResponseWriter& response);
  void forget_oldest();

  async::Loop& loop_;
  std::string epoch_;
  std::int64_t revision_ = 0;
  std::int64_t floor_ = 0;  // deletions up to this revision are forgotten
  std::size_t tombstones_ = 0;
  std::map<std::string, Item> items_;
  std::map<std::int64_t, std::string> by_revision_;  // each key once, at its newest
  async::Notify changed_;
  async::Notify sent_;
  std::list<std::int64_t> receivers_;  // revision sent to each
};

}  // namespace perigee::control
