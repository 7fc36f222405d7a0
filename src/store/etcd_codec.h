// What is said to etcd's JSON gateway (/v3, since 3.4) and what it answers: pure functions between
// our values and its JSON texts. Keys and values are base64 there, 64-bit numbers strings, and what
// has its default value is left out. Private to the store's engines.
//
// Revisions in here are etcd's own; EtcdStore maps them to the store's.
// Source: etcd's api/etcdserverpb/rpc.proto and api/mvccpb/kv.proto.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/json.h"
#include "store/store.h"

namespace perigee::store::etcd {

struct KeyValue {
  std::string key;
  std::string value;
  Revision created = 0;
  Revision modified = 0;
  bool operator==(const KeyValue&) const = default;
};

struct RangeQuery {
  std::string key;
  std::string end = {};           // empty: this key alone
  std::int64_t limit = 0;         // 0: all
  Revision at = 0;                // 0: now
  Revision modified_at_most = 0;  // 0: any
};

struct RangeAnswer {
  Revision revision = 0;  // of the whole of etcd, when it was read
  std::vector<KeyValue> entries;
  bool more = false;  // beyond the limit
};

// All or nothing: `changes` (each key at most once) where every expectation holds, else `reads`.
struct TxnRequest {
  std::vector<Transaction::Expect> expects = {};  // of etcd's revisions
  std::vector<Transaction::Change> changes = {};
  std::vector<std::string> reads = {};
};

struct TxnAnswer {
  Revision revision = 0;
  bool succeeded = false;
  std::vector<std::optional<KeyValue>> reads =
      {};  // in the order asked for, where it did not succeed
};

std::string encode(const RangeQuery& query);
std::string encode(const TxnRequest& request);
std::string encode_compaction(Revision revision);
std::string encode_authentication(std::string_view user, std::string_view password);
// Changes under [key, end) from revision `from` on.
std::string encode_watch(std::string_view key, std::string_view end, Revision from);

Result<RangeAnswer> parse_range(std::string_view text);
Result<TxnAnswer> parse_txn(std::string_view text);
Result<std::string> parse_token(std::string_view text);

// The gateway's error: gRPC's code and its sentence. What is no such text is code 2, unknown.
struct GatewayError {
  int code = 2;
  std::string message;
};
GatewayError parse_error(std::string_view text);

// Parts that the watch's decoder shares.
Result<Revision> parse_int64(const json::Value& object, std::string_view name);  // absent: 0
Result<std::string> parse_bytes(const json::Value& object, std::string_view name);
Result<KeyValue> parse_key_value(const json::Value& value);
Result<Revision> parse_header(const json::Value& answer);  // the revision in it

}  // namespace perigee::store::etcd
