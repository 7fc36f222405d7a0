#include "store/memory_store.h"

#include <algorithm>

#include "store/rules.h"

namespace perigee::store {

class MemoryStore::MemoryWatch : public Watch {
 public:
  MemoryWatch(MemoryStore& store, std::string prefix, Revision after)
      : store_(store), prefix_(std::move(prefix)), after_(after) {}

  async::Task<Result<std::vector<Change>>> next() override {
    for (;;) {
      if (after_ < store_.compacted_) co_return fail(compacted(after_, store_.compacted_));
      std::vector<Change> changes = collect();
      if (!changes.empty()) co_return changes;
      co_await store_.changed_.wait();
    }
  }

 private:
  std::vector<Change> collect() {
    std::vector<Change> changes;
    Revision seen = after_;
    const auto later = [](Revision after, const Change& change) { return after < change.revision; };
    auto at = std::upper_bound(store_.history_.begin(), store_.history_.end(), after_, later);
    for (; at != store_.history_.end(); ++at) {
      if (changes.size() >= kWatchChanges && at->revision != seen) break;
      seen = at->revision;
      if (at->key.starts_with(prefix_)) changes.push_back(*at);
    }
    after_ = seen;
    return changes;
  }

  MemoryStore& store_;
  std::string prefix_;
  Revision after_;
};

MemoryStore::MemoryStore(async::Loop& loop, StoreLimits limits)
    : loop_(loop), limits_(limits), changed_(loop) {}

async::Task<Result<std::optional<Entry>>> MemoryStore::get(std::string key) {
  co_await loop_.yield();
  const auto found = entries_.find(key);
  if (found == entries_.end()) co_return std::optional<Entry>();
  co_return std::optional<Entry>(found->second);
}

async::Task<Result<Listing>> MemoryStore::list(std::string prefix) {
  co_await loop_.yield();
  Listing listing;
  listing.revision = revision_;
  for (auto at = entries_.lower_bound(prefix);
       at != entries_.end() && at->first.starts_with(prefix); ++at)
    listing.entries.push_back(at->second);
  co_return listing;
}

async::Task<Result<Revision>> MemoryStore::commit(Transaction transaction) {
  CO_TRY_VOID(validate(transaction));
  Result<Revision> result = apply(transaction);
  co_await loop_.yield();
  co_return result;
}

Result<Revision> MemoryStore::apply(Transaction& transaction) {
  for (const auto& expect : transaction.expects) {
    const auto found = entries_.find(expect.key);
    const Revision actual = found == entries_.end() ? 0 : found->second.revision;
    if (actual != expect.revision) return fail(conflict(expect.key, expect.revision, actual));
  }
  if (transaction.changes.empty()) return revision_;
  ++revision_;
  for (auto& change : transaction.changes) {
    history_.push_back({revision_, change.key, change.value});
    if (change.value)
      entries_[change.key] = {change.key, std::move(*change.value), revision_};
    else
      entries_.erase(change.key);
  }
  compact();
  changed_.notify_all();
  return revision_;
}

void MemoryStore::compact() {
  compacted_ = std::max<Revision>(compacted_, revision_ - limits_.history_revisions);
  while (!history_.empty() && history_.front().revision <= compacted_) history_.pop_front();
}

Result<std::unique_ptr<Watch>> MemoryStore::watch(std::string prefix, Revision after) {
  return std::make_unique<MemoryWatch>(*this, std::move(prefix), after);
}

}  // namespace perigee::store
