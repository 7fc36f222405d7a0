#include "store/sqlite_store.h"

#include <algorithm>

#include "base/log.h"
#include "store/rules.h"

namespace perigee::store {

struct SqliteStore::Pending {
  Pending(async::Loop& loop, Transaction asked) : transaction(std::move(asked)), done(loop) {}
  Transaction transaction;
  std::optional<Result<Revision>> result;
  async::Event done;
};

// Runs `function(database)` on the pool with the reading connection.
template <typename F>
auto SqliteStore::read(F function) {
  return host_.pool.run(host_.loop,
                        [connections = connections_, work = std::move(function)]() mutable {
                          const std::scoped_lock lock(connections->reading);
                          return work(*connections->reader);
                        });
}

class SqliteStore::SqliteWatch : public Watch {
 public:
  SqliteWatch(SqliteStore& store, std::string prefix, Revision after)
      : store_(store), prefix_(std::move(prefix)), after_(after) {}

  async::Task<Result<std::vector<Change>>> next() override {
    bool first = true;  // a start before the compacted part fails though nothing new is there
    for (;;) {
      while (!first && store_.latest_ <= after_) co_await store_.changed_.wait();
      first = false;
      auto look = [prefix = prefix_, after = after_](SqliteDatabase& database) {
        return database.history(prefix, after);
      };
      CO_TRY(HistoryPage page, co_await store_.read(std::move(look)));
      after_ = page.upto;
      if (!page.changes.empty()) co_return std::move(page.changes);
    }
  }

 private:
  SqliteStore& store_;
  std::string prefix_;
  Revision after_;
};

Result<SqliteStore::Opened> SqliteStore::open_blocking(const std::string& path) {
  Opened opened{.connections = std::make_shared<Connections>(), .revision = 0};
  using Access = SqliteDatabase::Access;
  TRY(opened.connections->writer, SqliteDatabase::open(path, Access::create));
  TRY(opened.connections->reader, SqliteDatabase::open(path, Access::existing));
  TRY(opened.revision, opened.connections->reader->revision());
  return opened;
}

async::Task<Result<std::unique_ptr<SqliteStore>>> SqliteStore::open(sys::Host& host,
                                                                    std::string path,
                                                                    StoreLimits limits) {
  auto work = [path] { return open_blocking(path); };
  CO_TRY(Opened opened, co_await host.pool.run(host.loop, std::move(work)));
  co_return std::unique_ptr<SqliteStore>(new SqliteStore(host, std::move(opened), limits));
}

SqliteStore::SqliteStore(sys::Host& host, Opened opened, StoreLimits limits)
    : host_(host),
      connections_(std::move(opened.connections)),
      limits_(limits),
      latest_(opened.revision),
      changed_(host.loop),
      queued_(host.loop),
      writer_(host.loop, 1) {
  writer_.spawn(write_all(*this));
}

async::Task<Result<std::optional<Entry>>> SqliteStore::get(std::string key) {
  auto look = [key = std::move(key)](SqliteDatabase& database) { return database.get(key); };
  co_return co_await read(std::move(look));
}

async::Task<Result<Listing>> SqliteStore::list(std::string prefix) {
  auto look = [prefix = std::move(prefix)](SqliteDatabase& database) {
    return database.list(prefix);
  };
  co_return co_await read(std::move(look));
}

async::Task<Result<Revision>> SqliteStore::commit(Transaction transaction) {
  CO_TRY_VOID(validate(transaction));
  if (queue_.size() >= kMaxQueuedCommits)
    co_return fail(Code::resource_exhausted, "store: {} changes wait already", queue_.size());
  auto pending = std::make_shared<Pending>(host_.loop, std::move(transaction));
  queue_.push_back(pending);
  queued_.notify_all();
  co_await pending->done.wait();
  co_return *std::move(pending->result);
}

async::Task<void> SqliteStore::write_all(SqliteStore& store) {
  for (;;) {
    while (store.queue_.empty()) co_await store.queued_.wait();
    std::vector<std::shared_ptr<Pending>> batch;
    std::vector<Transaction> transactions;
    while (!store.queue_.empty() && batch.size() < kMaxBatch) {
      batch.push_back(std::move(store.queue_.front()));
      store.queue_.pop_front();
      transactions.push_back(std::move(batch.back()->transaction));
    }
    auto work = [connections = store.connections_, limits = store.limits_,
                 transactions = std::move(transactions)] {
      return connections->writer->commit(transactions, limits);
    };
    auto results = co_await store.host_.pool.run(store.host_.loop, std::move(work));
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (results[i]) store.latest_ = std::max(store.latest_, *results[i]);
      batch[i]->result = std::move(results[i]);
      batch[i]->done.set();
    }
    store.changed_.notify_all();
  }
}

Result<std::unique_ptr<Watch>> SqliteStore::watch(std::string prefix, Revision after) {
  return std::make_unique<SqliteWatch>(*this, std::move(prefix), after);
}

}  // namespace perigee::store
