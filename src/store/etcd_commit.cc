#include "store/etcd_commit.h"

#include <algorithm>
#include <unordered_map>

#include "store/rules.h"

namespace perigee::store::etcd {
namespace {

// Adds the last change of each key: etcd takes a key once per transaction.
void add_changes(TxnRequest& request, const EtcdKeys& keys, const Transaction& transaction) {
  std::unordered_map<std::string_view, std::size_t> last;
  for (std::size_t i = 0; i < transaction.changes.size(); ++i) last[transaction.changes[i].key] = i;
  for (std::size_t i = 0; i < transaction.changes.size(); ++i) {
    const auto& change = transaction.changes[i];
    if (last[change.key] == i) request.changes.push_back({keys.of(change.key), change.value});
  }
}

void add_expectations(TxnRequest& request, const EtcdKeys& keys, const Transaction& transaction) {
  for (const auto& expect : transaction.expects) {
    const Revision revision = expect.revision == 0 ? 0 : keys.to_etcd(expect.revision);
    request.expects.push_back({keys.of(expect.key), revision});
    request.reads.push_back(keys.of(expect.key));
  }
}

// The first expectation that does not hold; `reads` are the expected keys, in order.
std::optional<Error> first_conflict(const EtcdKeys& keys, const Transaction& transaction,
                                    std::span<const std::optional<KeyValue>> reads) {
  for (std::size_t i = 0; i < transaction.expects.size() && i < reads.size(); ++i) {
    const auto& expect = transaction.expects[i];
    const Revision actual = reads[i] ? keys.from_etcd(reads[i]->modified) : 0;
    if (actual != expect.revision) return store::conflict(expect.key, expect.revision, actual);
  }
  return std::nullopt;
}

// One commit's way through its attempts.
class Commit {
 public:
  Commit(EtcdClient& client, const EtcdKeys& keys, Transaction transaction, Marker& marker,
         std::string text)
      : client_(client),
        keys_(keys),
        transaction_(std::move(transaction)),
        marker_(marker),
        text_(std::move(text)),
        end_(client.loop().now() + client.patience()) {}

  async::Task<Result<Revision>> run() {
    for (;;) {
      CO_TRY(const auto answer, co_await try_once(transaction_, text_));
      if (!answer) continue;
      CO_TRY(Verdict verdict, judge(*answer, keys_, transaction_, marker_, text_));
      if (verdict.kind == Verdict::Kind::conflict) {
        if (!uncertain_) co_return fail(*std::move(verdict.conflict));
        co_return co_await rule_out(*std::move(verdict.conflict));
      }
      marker_.revision = verdict.revision;
      if (verdict.kind == Verdict::Kind::committed) co_return keys_.from_etcd(verdict.revision);
      uncertain_ = false;  // no attempt of ours can find the marker as it expects it any more
    }
  }

 private:
  // After a failed attempt: whether there is to be another.
  Result<void> note(CallFailure failure) {
    // Refused, and no earlier attempt is still on its way.
    if (failure.effect == CallFailure::Effect::refused && !uncertain_)
      return fail(std::move(failure.error).with("store"));
    uncertain_ = uncertain_ || failure.effect == CallFailure::Effect::uncertain;
    if (client_.loop().now() >= end_) {
      std::string words = "store: " + failure.error.context;
      if (uncertain_) words += "; the change may have been made, or may yet be: look again";
      return fail(Error::make(Code::unavailable, std::move(words)));
    }
    patience_ = next_patience(patience_);
    return {};
  }

  // nullopt: no answer; to be tried again.
  async::Task<Result<std::optional<TxnAnswer>>> try_once(const Transaction& transaction,
                                                         const std::string& text) {
    const TxnRequest request = txn_request(keys_, transaction, marker_, text);
    auto answer = co_await client_.attempt("/v3/kv/txn", encode(request), patience_);
    if (answer) {
      CO_TRY(TxnAnswer parsed, parse_txn(*answer));
      co_return std::optional(std::move(parsed));
    }
    CO_TRY_VOID(note(std::move(answer).error()));
    co_await client_.loop().sleep(kEtcdRetryPause);
    co_return std::optional<TxnAnswer>();
  }

  // A conflict, while an earlier attempt may still be on its way and find its expectations met (a
  // key that must not exist may be deleted): writes the marker alone, which leaves nothing for that
  // attempt to match. Finds out as well if that attempt has been carried out.
  async::Task<Result<Revision>> rule_out(Error conflict) {
    const Transaction nothing;
    const std::string other_text = text_ + " ruled out";
    for (;;) {
      CO_TRY(const auto answer, co_await try_once(nothing, other_text));
      if (!answer) continue;
      const std::optional<KeyValue> seen =
          answer->reads.empty() ? std::nullopt : answer->reads.back();
      marker_.revision = answer->succeeded ? answer->revision : seen ? seen->modified : 0;
      if (seen && seen->value == text_) co_return keys_.from_etcd(seen->modified);
      co_return fail(std::move(conflict));
    }
  }

  EtcdClient& client_;
  const EtcdKeys& keys_;
  Transaction transaction_;
  Marker& marker_;
  std::string text_;
  MonotonicTime end_;
  Duration patience_ = kEtcdAttempt;
  bool uncertain_ = false;  // an attempt may have been, or may yet be, carried out
};

}  // namespace

TxnRequest txn_request(const EtcdKeys& keys, const Transaction& transaction, const Marker& marker,
                       const std::string& text) {
  TxnRequest request;
  add_expectations(request, keys, transaction);
  request.expects.push_back({marker.key, marker.revision});
  request.reads.push_back(marker.key);
  add_changes(request, keys, transaction);
  request.changes.push_back({marker.key, text});
  return request;
}

Result<Verdict> judge(const TxnAnswer& answer, const EtcdKeys& keys, const Transaction& transaction,
                      const Marker& marker, std::string_view text) {
  using Kind = Verdict::Kind;
  if (answer.succeeded) return Verdict{Kind::committed, answer.revision};
  if (answer.reads.size() != transaction.expects.size() + 1)
    return fail(Code::data_loss, "etcd: {} answers to {} reads", answer.reads.size(),
                transaction.expects.size() + 1);
  const std::optional<KeyValue>& seen = answer.reads.back();
  if (seen && seen->value == text) return Verdict{Kind::committed, seen->modified};
  const Revision revision = seen ? seen->modified : 0;
  if (revision != marker.revision) return Verdict{Kind::moved, revision};
  auto conflict = first_conflict(keys, transaction, answer.reads);
  if (!conflict) return fail(Code::data_loss, "etcd: refuses a change whose expectations hold");
  return Verdict{Kind::conflict, revision, std::move(conflict)};
}

async::Task<Result<Revision>> commit(EtcdClient& client, const EtcdKeys& keys,
                                     Transaction transaction, Marker& marker, std::string text) {
  Commit commit(client, keys, std::move(transaction), marker, std::move(text));
  co_return co_await commit.run();
}

async::Task<Result<Revision>> check(EtcdClient& client, const EtcdKeys& keys,
                                    Transaction transaction) {
  TxnRequest request;
  add_expectations(request, keys, transaction);
  CO_TRY(const std::string text, co_await client.read("/v3/kv/txn", encode(request)));
  CO_TRY(const TxnAnswer answer, parse_txn(text));
  if (auto conflict = first_conflict(keys, transaction, answer.reads))
    co_return fail(*std::move(conflict));
  co_return keys.from_etcd(answer.revision);
}

}  // namespace perigee::store::etcd
