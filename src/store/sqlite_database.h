// SqliteDatabase: one connection to the store's file, blocking. Used by SqliteStore on the thread
// pool; each connection by one thread at a time.
//
// Tables (docs/formats/store.md): entries(key, value, revision), history(revision, ordinal, key,
// value), meta(name, value) with `revision` and `compacted`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/limits.h"
#include "store/store.h"

namespace perigee::store {

struct HistoryPage {
  std::vector<Change> changes;
  Revision upto = 0;  // everything up to this revision has been looked at
};

class SqliteDatabase {
 public:
  enum class Access { create, existing };
  // Creates the file and its tables where they are missing (Access::create).
  static Result<std::unique_ptr<SqliteDatabase>> open(std::string path, Access access);
  ~SqliteDatabase();

  Result<std::optional<Entry>> get(const std::string& key);
  Result<Listing> list(const std::string& prefix);
  // All in one durable write; each result as if committed alone, in order.
  std::vector<Result<Revision>> commit(const std::vector<Transaction>& batch,
                                       const StoreLimits& limits);
  Result<HistoryPage> history(const std::string& prefix, Revision after);
  Result<Revision> revision();

 private:
  struct Connection;
  explicit SqliteDatabase(std::unique_ptr<Connection> connection);
  Result<std::vector<Result<Revision>>> commit_all(const std::vector<Transaction>& batch,
                                                   const StoreLimits& limits);
  Result<void> check_expectations(const Transaction& transaction);
  Result<void> apply(const Transaction& transaction, Revision revision);
  Result<void> compact(Revision revision, const StoreLimits& limits);
  Result<std::int64_t> meta(const char* name);

  std::unique_ptr<Connection> connection_;
};

}  // namespace perigee::store
