// MemoryStore: a Store that forgets when it is destroyed, for tests and simulations. Same promises
// as SqliteStore (store_contract.h) but durability.
#pragma once

#include <deque>
#include <map>

#include "async/event.h"
#include "store/limits.h"
#include "store/store.h"

namespace perigee::store {

class MemoryStore : public Store {
 public:
  explicit MemoryStore(async::Loop& loop, StoreLimits limits = {});
  async::Task<Result<std::optional<Entry>>> get(std::string key) override;
  async::Task<Result<Listing>> list(std::string prefix) override;
  async::Task<Result<Revision>> commit(Transaction transaction) override;
  Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision after) override;

 private:
  class MemoryWatch;
  Result<Revision> apply(Transaction& transaction);
  void compact();

  async::Loop& loop_;
  StoreLimits limits_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::deque<Change> history_;
  Revision revision_ = 0;
  Revision compacted_ = 0;
  async::Notify changed_;
};

}  // namespace perigee::store
