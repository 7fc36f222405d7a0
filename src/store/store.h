// Store: where desired state lives. JSON texts under readable keys, every change with a revision.
//
// Written by control alone. Engines: SqliteStore for one control node, EtcdStore for several; both
// pass store_contract.h's tests. A committed change is on disk before `commit` answers.
//
//   Transaction t;
//   t.expect("/apps/hello", seen.revision);     // 0: must not exist
//   t.put("/apps/hello", text);
//   Result<Revision> r = co_await store.commit(t);   // conflict: read again and retry
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/task.h"
#include "base/result.h"

namespace perigee::store {

// Of the whole store: grows with each committed transaction. By one, but where the engine writes
// for itself too; so later is greater, and nothing more.
using Revision = std::int64_t;

struct Entry {
  std::string key;
  std::string value;
  Revision revision = 0;  // of its last change
  bool operator==(const Entry&) const = default;
};

struct Transaction {
  struct Expect {
    std::string key;
    Revision revision;  // of the key's last change; 0: absent
  };
  struct Change {
    std::string key;
    std::optional<std::string> value;  // nullopt: delete
  };
  std::vector<Expect> expects;
  std::vector<Change> changes;

  void expect(std::string key, Revision revision) { expects.push_back({std::move(key), revision}); }
  void put(std::string key, std::string value) {
    changes.push_back({std::move(key), std::move(value)});
  }
  void remove(std::string key) { changes.push_back({std::move(key), std::nullopt}); }
};

struct Listing {
  std::vector<Entry> entries;  // by key
  Revision revision = 0;       // of the store when it was read
};

// One change as a watch delivers it; the changes of a transaction have one revision and come
// together. What changes nothing may be left out: a removal of what is not there, all but the last
// change of a key.
struct Change {
  Revision revision = 0;
  std::string key;
  std::optional<std::string> value;
  bool operator==(const Change&) const = default;
};

class Watch {
 public:
  virtual ~Watch() = default;
  // The next changes in order, at least one; waits for them. `data_loss` where history before the
  // asked revision is compacted: list again and watch from there.
  virtual async::Task<Result<std::vector<Change>>> next() = 0;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual async::Task<Result<std::optional<Entry>>> get(std::string key) = 0;
  virtual async::Task<Result<Listing>> list(std::string prefix) = 0;
  // All or nothing. `conflict` where an expectation does not hold. Any error but `unavailable`
  // means that nothing was changed; that one's text says whether it may have been.
  virtual async::Task<Result<Revision>> commit(Transaction transaction) = 0;
  // Changes under `prefix` with a revision greater than `after`.
  virtual Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision after) = 0;
};

}  // namespace perigee::store
