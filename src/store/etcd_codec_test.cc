// etcd's JSON texts, its watch stream in pieces, and what an answer means for a commit: without
// etcd.
#include <doctest/doctest.h>

#include "store/etcd_commit.h"
#include "store/etcd_watch_decoder.h"

namespace perigee::store::etcd {
namespace {

const EtcdKeys kKeys{.prefix = "/p", .base = 100};

TEST_CASE("a query and a transaction are written as etcd's gateway reads them") {
  CHECK(encode(RangeQuery{.key = "/a", .end = "/b", .limit = 2, .at = 7}) ==
        R"({"key":"L2E=","range_end":"L2I=","limit":"2","revision":"7"})");
  const TxnRequest request{
      .expects = {{"/a", 3}}, .changes = {{"/a", "x"}, {"/b", std::nullopt}}, .reads = {"/a"}};
  CHECK(encode(request) ==
        R"({"compare":[{"key":"L2E=","target":"MOD","result":"EQUAL","mod_revision":"3"}],)"
        R"("success":[{"request_put":{"key":"L2E=","value":"eA=="}},)"
        R"({"request_delete_range":{"key":"L2I="}}],)"
        R"("failure":[{"request_range":{"key":"L2E="}}]})");
}

TEST_CASE("answers are read with what etcd leaves out: zeros, empty values, false") {
  const auto range = parse_range(
      R"({"header":{"revision":"9"},"kvs":[{"key":"L2E=","mod_revision":"4"}],"count":"1"})");
  REQUIRE(range.has_value());
  CHECK(range->revision == 9);
  CHECK_FALSE(range->more);
  CHECK(range->entries == std::vector<KeyValue>{{"/a", "", 0, 4}});
  const auto txn =
      parse_txn(R"({"header":{"revision":"9"},"responses":[{"response_range":{"header":{}}}]})");
  REQUIRE(txn.has_value());
  CHECK_FALSE(txn->succeeded);
  CHECK(txn->reads == std::vector<std::optional<KeyValue>>{std::nullopt});
  CHECK_FALSE(parse_range("{}").has_value());
  CHECK_FALSE(parse_range(R"({"header":{"revision":"-1"}})").has_value());
  CHECK_FALSE(parse_range(R"({"header":{"revision":"1"},"kvs":[{"key":"%"}]})").has_value());
  CHECK_FALSE(parse_token(R"({"token":"a\r\nb"})").has_value());
}

TEST_CASE("an error says whether to ask again, and what to do") {
  using Effect = CallFailure::Effect;
  struct Row {
    int code;
    const char* message;
    Effect effect;
    Code result;
  };
  const Row rows[] = {
      {3, "etcdserver: too many operations in txn request", Effect::refused,
       Code::resource_exhausted},
      {3, "etcdserver: request is too large", Effect::refused, Code::resource_exhausted},
      {3, "etcdserver: user name is empty", Effect::refused, Code::unauthenticated},
      {3, "etcdserver: revision of auth store is old", Effect::not_done, Code::unavailable},
      {7, "etcdserver: permission denied", Effect::refused, Code::permission_denied},
      {8, "etcdserver: mvcc: database space exceeded", Effect::refused, Code::resource_exhausted},
      {8, "etcdserver: too many requests", Effect::not_done, Code::unavailable},
      {11, "etcdserver: mvcc: required revision has been compacted", Effect::refused,
       Code::data_loss},
      {14, "etcdserver: leader changed", Effect::uncertain, Code::unavailable},
      {16, "etcdserver: invalid auth token", Effect::not_done, Code::unavailable},
  };
  for (const Row& row : rows) {
    CAPTURE(row.message);
    const CallFailure failure = failure_from({row.code, row.message});
    CHECK(failure.effect == row.effect);
    CHECK(failure.error.code == row.result);
    CHECK(failure.error.context.find(row.message) != std::string::npos);
  }
  const GatewayError page = parse_error("<html>no gateway</html>");
  CHECK(page.code == 2);
  CHECK(page.message == "<html>no gateway</html>");
}

std::string message(std::string_view rest) {
  return R"({"result":{"header":{"revision":"50"})" + std::string(rest) + "}}\n";
}
std::string put_event(Revision revision, std::string_view key64) {
  return fmt::format(R"({{"kv":{{"key":"{}","mod_revision":"{}","value":"eA=="}}}})", key64,
                     revision);
}

// What a watch would deliver, call by call; `piece` bytes at a time.
std::vector<std::vector<Change>> deliveries(const std::string& stream, std::size_t piece) {
  WatchDecoder decoder;
  std::vector<std::vector<Change>> out;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    REQUIRE(decoder.feed(std::string_view(stream).substr(at, piece)).has_value());
    while (auto line = decoder.next_line()) {
      auto changes = decoder.complete(*WatchDecoder::parse(*line));
      REQUIRE(changes.has_value());
      if (!changes->empty()) out.push_back(*std::move(changes));
    }
  }
  return out;
}

TEST_CASE("a watch's stream gives whole revisions, in whatever pieces it comes") {
  const std::string stream =
      message(R"(,"created":true)") + "\n" +
      message(R"(,"fragment":true,"events":[)" + put_event(5, "L2E=") + "," + put_event(6, "L2I=") +
              "]") +
      message(R"(,"fragment":true,"events":[)" + put_event(6, "L2M=") + "]") +
      message(R"(,"events":[{"type":"DELETE","kv":{"key":"L2Q=","mod_revision":"6"}}])");
  const std::vector<std::vector<Change>> expected{
      {{5, "/a", "x"}}, {{6, "/b", "x"}, {6, "/c", "x"}, {6, "/d", std::nullopt}}};
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, stream.size()})
    CHECK(deliveries(stream, piece) == expected);
}

TEST_CASE("a watch is told its progress, but not by the answer that makes it") {
  CHECK(WatchDecoder::parse(message(""))->progress == 50);
  CHECK(WatchDecoder::parse(message(R"(,"created":true)"))->progress == 0);
  const auto gone = WatchDecoder::parse(message(R"(,"canceled":true,"compact_revision":"40")"));
  CHECK(gone->ended);
  CHECK(gone->compacted == 40);
  CHECK(gone->progress == 0);
  CHECK_FALSE(WatchDecoder::parse(R"({"error":{"message":"no leader"}})").has_value());
}

TEST_CASE("a message larger than any of etcd's is refused, not kept") {
  WatchDecoder decoder;
  const std::string piece(1024 * 1024, 'x');
  Result<void> fed;
  for (std::size_t i = 0; i <= kMaxEtcdAnswer / piece.size() && fed; ++i) fed = decoder.feed(piece);
  REQUIRE_FALSE(fed.has_value());
  CHECK(fed.error().code == Code::resource_exhausted);
}

TEST_CASE("a transaction becomes etcd's, with a marker that tells whether it was done") {
  Transaction transaction;
  transaction.expect("/a", 3);
  transaction.expect("/b", 0);
  transaction.put("/a", "1");
  transaction.remove("/c");
  transaction.put("/a", "2");
  const Marker marker{.key = "/p.meta/commits/x/0", .revision = 42};
  const TxnRequest request = txn_request(kKeys, transaction, marker, "x-1");
  REQUIRE(request.expects.size() == 3);
  CHECK(request.expects[0].revision == 103);
  CHECK(request.expects[1].revision == 0);
  CHECK(request.expects[2].key == marker.key);
  CHECK(request.expects[2].revision == 42);
  REQUIRE(request.changes.size() == 3);
  CHECK(request.changes[0].key == "/p/c");
  CHECK(request.changes[1].value == "2");
  CHECK(request.changes[2].value == "x-1");

  using Kind = Verdict::Kind;
  const KeyValue a{"/p/a", "1", 101, 103};
  const auto verdict = [&](std::optional<KeyValue> seen_a, std::optional<KeyValue> seen_b,
                           std::optional<KeyValue> seen_marker) {
    const TxnAnswer answer{.revision = 120, .reads = {seen_a, seen_b, seen_marker}};
    return *judge(answer, kKeys, transaction, marker, "x-1");
  };
  const KeyValue kept{marker.key, "x-0", 0, 42};
  CHECK(judge({.revision = 120, .succeeded = true}, kKeys, transaction, marker, "x-1")->revision ==
        120);
  CHECK(verdict(a, std::nullopt, KeyValue{marker.key, "x-1", 0, 119}).kind == Kind::committed);
  CHECK(verdict(a, std::nullopt, KeyValue{marker.key, "x-1", 0, 119}).revision == 119);
  CHECK(verdict(a, std::nullopt, KeyValue{marker.key, "x-0", 0, 118}).kind == Kind::moved);
  CHECK(verdict(a, std::nullopt, std::nullopt).kind == Kind::moved);
  CHECK(verdict(a, a, kept).kind == Kind::conflict);
  CHECK(verdict(std::nullopt, std::nullopt, kept).conflict->code == Code::conflict);
  CHECK_FALSE(
      judge({.revision = 120, .reads = {a, std::nullopt, kept}}, kKeys, transaction, marker, "x-1")
          .has_value());
}

}  // namespace
}  // namespace perigee::store::etcd
