// SqliteStore: the Store of one control node, in one SQLite file.
//
// Owned by control, used on its loop; SQLite itself runs on the thread pool. Commits queue for one
// writer, which takes all that wait into one durable write (one fsync for many). A commit whose
// caller went away is carried out all the same, and watches see it.
//
//   CO_TRY(auto store, co_await SqliteStore::open(host, paths.store_db));
#pragma once

#include <deque>
#include <mutex>

#include "async/event.h"
#include "async/task_group.h"
#include "store/limits.h"
#include "store/sqlite_database.h"
#include "store/store.h"
#include "sys/host.h"

namespace perigee::store {

class SqliteStore : public Store {
 public:
  static async::Task<Result<std::unique_ptr<SqliteStore>>> open(sys::Host& host, std::string path,
                                                                StoreLimits limits = {});
  async::Task<Result<std::optional<Entry>>> get(std::string key) override;
  async::Task<Result<Listing>> list(std::string prefix) override;
  async::Task<Result<Revision>> commit(Transaction transaction) override;
  Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision after) override;

 private:
  class SqliteWatch;
  // Shared with functions on the pool, which may outlive the store.
  struct Connections {
    std::unique_ptr<SqliteDatabase> writer;  // used by one batch at a time
    std::mutex reading;
    std::unique_ptr<SqliteDatabase> reader;  // under `reading`
  };
  struct Pending;
  struct Opened {
    std::shared_ptr<Connections> connections;
    Revision revision = 0;
  };

  SqliteStore(sys::Host& host, Opened opened, StoreLimits limits);
  static Result<Opened> open_blocking(const std::string& path);
  static async::Task<void> write_all(SqliteStore& store);
  template <typename F>
  auto read(F function);

  sys::Host& host_;
  std::shared_ptr<Connections> connections_;
  StoreLimits limits_;
  Revision latest_;  // newest revision that this process knows to be committed
  async::Notify changed_;
  async::Notify queued_;
  std::deque<std::shared_ptr<Pending>> queue_;
  async::TaskGroup writer_;
};

}  // namespace perigee::store
