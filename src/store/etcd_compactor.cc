#include "store/etcd_compactor.h"

#include "base/log.h"

namespace perigee::store::etcd {
namespace {

constexpr int kLooksPerInterval = 12;

async::Task<Result<Revision>> record_revision(EtcdClient& client, const EtcdKeys& keys) {
  const std::string query = encode(RangeQuery{.key = keys.compaction_record()});
  CO_TRY(const std::string text, co_await client.read("/v3/kv/range", query));
  CO_TRY(const RangeAnswer answer, parse_range(text));
  co_return answer.entries.empty() ? 0 : answer.entries.front().modified;
}

// The record's new revision; 0: another process was faster, or an answer was lost.
async::Task<Result<Revision>> write_record(EtcdClient& client, const EtcdKeys& keys,
                                           Revision expected) {
  const std::string record = keys.compaction_record();
  const TxnRequest request{.expects = {{record, expected}}, .changes = {{record, "{}"}}};
  CO_TRY(const std::string text, co_await client.read("/v3/kv/txn", encode(request)));
  CO_TRY(const TxnAnswer answer, parse_txn(text));
  co_return answer.succeeded ? answer.revision : 0;
}

// Markers whose slots have not been used after `revision`: their commits have ended long ago.
async::Task<Result<void>> sweep_markers(EtcdClient& client, const EtcdKeys& keys,
                                        Revision revision) {
  const std::string first = keys.markers();
  const std::string query = encode(RangeQuery{.key = first,
                                              .end = end_of_prefix(first).value_or(""),
                                              .limit = kSweptMarkers,
                                              .modified_at_most = revision});
  CO_TRY(const std::string text, co_await client.read("/v3/kv/range", query));
  CO_TRY(const RangeAnswer old, parse_range(text));
  TxnRequest request;
  for (const KeyValue& marker : old.entries) {
    request.expects.push_back({marker.key, marker.modified});
    request.changes.push_back({marker.key, std::nullopt});
  }
  if (old.entries.empty()) co_return Result<void>();
  CO_TRY_VOID(co_await client.read("/v3/kv/txn", encode(request)));
  co_return Result<void>();
}

async::Task<Result<void>> compact(EtcdClient& client, const EtcdKeys& keys, Revision revision) {
  CO_TRY_VOID(co_await sweep_markers(client, keys, revision));
  const auto done = co_await client.read("/v3/kv/compaction", encode_compaction(revision));
  // Compacted already: etcd may have been told to do so by itself.
  if (!done && done.error().code != Code::data_loss) co_return fail(done.error());
  co_return Result<void>();
}

}  // namespace

async::Task<Result<SeenRecord>> look_at_compaction(EtcdClient& client, const EtcdKeys& keys,
                                                   SeenRecord seen, Duration interval) {
  CO_TRY(const Revision now, co_await record_revision(client, keys));
  const MonotonicTime looked = client.loop().now();
  if (now != seen.revision) co_return SeenRecord{now, looked};
  if (looked - seen.since < interval) co_return seen;
  CO_TRY(const Revision written, co_await write_record(client, keys, now));
  if (written == 0) co_return seen;
  // The write before was this record alone: no deletion of anybody's is at the very revision that
  // is compacted, where etcd would forget it although a watch may still start there.
  if (now != 0) CO_TRY_VOID(co_await compact(client, keys, now));
  co_return SeenRecord{written, looked};
}

async::Task<void> compact_for_ever(EtcdClient& client, const EtcdKeys& keys) {
  SeenRecord seen{.since = client.loop().now()};
  for (;;) {
    co_await client.loop().sleep(kCompactionInterval / kLooksPerInterval);
    auto looked = co_await look_at_compaction(client, keys, seen, kCompactionInterval);
    if (looked)
      seen = *looked;
    else
      log_warning("store", "compaction of etcd: {}", looked.error().context);
  }
}

}  // namespace perigee::store::etcd
