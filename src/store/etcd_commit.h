// One commit to etcd, done exactly once whatever becomes of its answers.
//
// etcd may carry out a transaction and its answer get lost; or carry it out later, when a stopped
// member wakes. So each transaction also writes a marker: a key that only the commits of one slot
// of one process write, one after the other, with a text of its own, and each expects the marker as
// the one before left it. Thus an attempt can be repeated at any member: at most one of them finds
// the marker as expected, and the marker tells whether it was one of ours
// (docs/decisions/0020-etcd.md). Private to the store's engines.
#pragma once

#include <string>

#include "store/etcd_client.h"
#include "store/etcd_keys.h"

namespace perigee::store::etcd {

// A slot's marker as it was last seen. Used by one commit at a time.
struct Marker {
  std::string key;
  Revision revision = 0;  // etcd's, of its last change; 0: it is not there
};

// What an answer says of the commit whose marker text is `text`.
struct Verdict {
  enum class Kind {
    committed,  // by this attempt or an earlier one
    conflict,   // an expectation of the transaction does not hold
    moved,      // an attempt of the slot's commit before came late: try again from `revision`
  } kind;
  Revision revision = 0;  // etcd's: of the commit, or of the marker as it is now
  std::optional<Error> conflict = std::nullopt;
};

TxnRequest txn_request(const EtcdKeys& keys, const Transaction& transaction, const Marker& marker,
                       const std::string& text);
Result<Verdict> judge(const TxnAnswer& answer, const EtcdKeys& keys, const Transaction& transaction,
                      const Marker& marker, std::string_view text);

// Runs `transaction` (valid, with changes) to a definite end, or until the client's patience is
// over: then the error says that it may yet be done. `text` is unique among the slot's commits.
async::Task<Result<Revision>> commit(EtcdClient& client, const EtcdKeys& keys,
                                     Transaction transaction, Marker& marker, std::string text);
// The same for one without changes: only its expectations are looked at.
async::Task<Result<Revision>> check(EtcdClient& client, const EtcdKeys& keys,
                                    Transaction transaction);

}  // namespace perigee::store::etcd
