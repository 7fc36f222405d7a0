// Compaction: etcd keeps every revision until it is told to forget.
//
// Each store object runs this; one of all control nodes does the work. A record in etcd is written
// at most once per kCompactionInterval, by whoever has seen it unchanged for so long by its own
// clock, and compaction goes up to its write before: so at least one interval of history stays, and
// no two clocks are compared. Markers unused since then go as well. Private to the store's engines.
#pragma once

#include "store/etcd_client.h"
#include "store/etcd_keys.h"

namespace perigee::store::etcd {

// The record as this process has seen it.
struct SeenRecord {
  Revision revision = 0;  // etcd's, of its last write; 0: not there
  MonotonicTime since;    // when this process first saw that
};

// One look. What has been seen now; compacts where it is time.
async::Task<Result<SeenRecord>> look_at_compaction(EtcdClient& client, const EtcdKeys& keys,
                                                   SeenRecord seen, Duration interval);
// Looks from time to time, until cancelled.
async::Task<void> compact_for_ever(EtcdClient& client, const EtcdKeys& keys);

}  // namespace perigee::store::etcd
