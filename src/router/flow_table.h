// FlowTable: datagrams between the same two ends belong together: a flow, for as long as there are
// any. Pure: time is an argument.
//
//   Flow* flow = table.find(key, now);                  // it is used now
//   if (flow == nullptr) flow = table.add(key, client, std::move(made), now);   // null: too many
//   table.expire(now, kFlowIdle);
//
// Bounded: where it is full the flow goes that was not used for the longest time, so that invented
// clients push each other out and not those who speak; one client's address has a bound of its own.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/time.h"

namespace perigee::router {

template <typename Flow>
class FlowTable {
 public:
  FlowTable(std::size_t max, std::size_t max_per_client)
      : max_(max), max_per_client_(max_per_client) {}

  Flow* find(const std::string& key, MonotonicTime now) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    touch(found->second, now);
    return found->second->flow.get();
  }
  // For a key that is not there.
  Flow* add(const std::string& key, const std::string& client, std::unique_ptr<Flow> flow,
            MonotonicTime now) {
    if (of_client(client) >= max_per_client_) return nullptr;
    if (entries_.size() >= max_) drop(std::prev(entries_.end()));
    entries_.push_front({.key = key, .client = client, .used = now, .flow = std::move(flow)});
    by_key_.emplace(key, entries_.begin());
    ++per_client_[client];
    return entries_.front().flow.get();
  }
  void erase(const std::string& key) {
    if (const auto found = by_key_.find(key); found != by_key_.end()) drop(found->second);
  }
  // Those that were not used for longer than `idle`.
  void expire(MonotonicTime now, Duration idle) {
    while (!entries_.empty() && now - entries_.back().used > idle) drop(std::prev(entries_.end()));
  }
  template <typename Predicate>
  void erase_if(Predicate gone) {
    for (auto each = entries_.begin(); each != entries_.end();) {
      const auto next = std::next(each);
      if (gone(*each->flow)) drop(each);
      each = next;
    }
  }
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    std::string client;
    MonotonicTime used;
    std::unique_ptr<Flow> flow;
  };
  using Entries = std::list<Entry>;  // newest use first

  std::size_t of_client(const std::string& client) const {
    const auto found = per_client_.find(client);
    return found == per_client_.end() ? 0 : found->second;
  }
  void touch(typename Entries::iterator entry, MonotonicTime now) {
    entry->used = now;
    entries_.splice(entries_.begin(), entries_, entry);
  }
  void drop(typename Entries::iterator entry) {
    const auto count = per_client_.find(entry->client);
    if (--count->second == 0) per_client_.erase(count);
    by_key_.erase(entry->key);
    entries_.erase(entry);
  }

  std::size_t max_;
  std::size_t max_per_client_;
  Entries entries_;
  std::unordered_map<std::string, typename Entries::iterator> by_key_;
  std::unordered_map<std::string, std::size_t> per_client_;
};

}  // namespace perigee::router
