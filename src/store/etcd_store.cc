#include "store/etcd_store.h"

#include "store/etcd_compactor.h"
#include "store/etcd_watch.h"

namespace perigee::store {
namespace {

constexpr std::size_t kProcessIdBytes = 8;
constexpr std::size_t kMaxPrefix = 128;
constexpr std::int64_t kFormat = 1;
constexpr int kListAttempts = 3;

Result<void> check_prefix(std::string_view prefix) {
  if (prefix.size() >= 2 && prefix.size() <= kMaxPrefix && prefix.front() == '/' &&
      prefix.back() != '/')
    return {};
  return fail(Code::invalid_argument,
              "etcd prefix \"{}\": expected a path such as /perigee, of at most {} bytes", prefix,
              kMaxPrefix);
}

Result<void> check_format(const etcd::KeyValue& record) {
  TRY_AS(const json::Value document, json::parse(record.value), record.key);
  TRY_AS(const std::int64_t format, document.require_int("format"), record.key);
  if (format == kFormat) return {};
  return fail(Code::unsupported, "{}: format {} of the store; this version knows {}: upgrade",
              record.key, format, kFormat);
}

}  // namespace

struct EtcdStore::Pending {
  Pending(async::Loop& loop, Transaction asked) : transaction(std::move(asked)), done(loop) {}
  Transaction transaction;
  std::optional<Result<Revision>> result;
  async::Event done;
};

async::Task<Result<std::unique_ptr<EtcdStore>>> EtcdStore::open(sys::Host& host,
                                                                EtcdOptions options) {
  CO_TRY_VOID(check_prefix(options.prefix));
  etcd::EtcdKeys keys{.prefix = options.prefix};
  CO_TRY(std::unique_ptr<etcd::EtcdClient> client,
         etcd::EtcdClient::open(host, std::move(options)));
  CO_TRY(keys.base, co_await find_base(*client, keys));
  co_return std::unique_ptr<EtcdStore>(new EtcdStore(host, std::move(client), std::move(keys)));
}

// Reads the format record, and writes it where there is none: whoever is first.
async::Task<Result<Revision>> EtcdStore::find_base(etcd::EtcdClient& client, etcd::EtcdKeys& keys) {
  const std::string record = keys.format_record();
  const etcd::TxnRequest create{
      .expects = {{record, 0}},
      .changes = {{record, json::object({{"format", kFormat}}).dump()}},
  };
  CO_TRY_VOID(co_await client.read("/v3/kv/txn", encode(create)));
  CO_TRY(const std::string text,
         co_await client.read("/v3/kv/range", encode(etcd::RangeQuery{.key = record})));
  CO_TRY(const etcd::RangeAnswer answer, etcd::parse_range(text));
  if (answer.entries.empty())
    co_return fail(Code::unavailable, "etcd: {}: removed meanwhile", record);
  CO_TRY_VOID(check_format(answer.entries.front()));
  co_return answer.entries.front().created;
}

EtcdStore::EtcdStore(sys::Host& host, std::unique_ptr<etcd::EtcdClient> client, etcd::EtcdKeys keys)
    : host_(host),
      client_(std::move(client)),
      keys_(std::move(keys)),
      process_(sys::random_hex(host.entropy, kProcessIdBytes)),
      slots_(host.loop, kCommitSlots),
      commits_(host.loop, kMaxQueuedCommits),
      compactor_(host.loop, 1) {
  for (std::size_t i = 0; i < kCommitSlots; ++i)
    free_slots_.push_back({.key = fmt::format("{}{}/{}", keys_.markers(), process_, i)});
  compactor_.spawn(etcd::compact_for_ever(*client_, keys_));
}

async::Task<Result<etcd::RangeAnswer>> EtcdStore::range(etcd::RangeQuery query) {
  CO_TRY(std::string text, co_await client_->read("/v3/kv/range", encode(query)));
  if (text.size() <= kInlineParse) co_return etcd::parse_range(text);
  auto work = [moved = std::move(text)] { return etcd::parse_range(moved); };
  co_return co_await host_.pool.run(host_.loop, std::move(work));
}

async::Task<Result<std::optional<Entry>>> EtcdStore::get(std::string key) {
  CO_TRY(etcd::RangeAnswer answer, co_await range({.key = keys_.of(key)}));
  if (answer.entries.empty()) co_return std::optional<Entry>();
  etcd::KeyValue& found = answer.entries.front();
  co_return Entry{std::move(key), std::move(found.value), keys_.from_etcd(found.modified)};
}

async::Task<Result<Listing>> EtcdStore::list(std::string prefix) {
  for (int attempt = 1;; ++attempt) {
    auto listing = co_await list_once(prefix);
    // Its revision was compacted between two pages.
    const bool again = !listing && listing.error().code == Code::data_loss;
    if (!again || attempt == kListAttempts) co_return listing;
  }
}

// Page by page, all at the revision of the first.
async::Task<Result<Listing>> EtcdStore::list_once(std::string prefix) {
  Listing listing;
  etcd::RangeQuery query{.key = keys_.first(prefix), .end = keys_.end(prefix), .limit = kEtcdPage};
  for (;;) {
    CO_TRY(etcd::RangeAnswer page, co_await range(query));
    if (query.at == 0) query.at = page.revision;
    for (etcd::KeyValue& entry : page.entries)
      listing.entries.push_back(
          {keys_.store_key(entry.key), std::move(entry.value), keys_.from_etcd(entry.modified)});
    if (!page.more || page.entries.empty()) break;
    query.key = page.entries.back().key + '\0';
  }
  listing.revision = keys_.from_etcd(query.at);
  co_return listing;
}

async::Task<Result<Revision>> EtcdStore::commit(Transaction transaction) {
  CO_TRY_VOID(validate(transaction));
  if (transaction.changes.empty())
    co_return co_await etcd::check(*client_, keys_, std::move(transaction));
  auto pending = std::make_shared<Pending>(host_.loop, std::move(transaction));
  if (!commits_.spawn(carry_out(*this, pending)))
    co_return fail(Code::resource_exhausted, "store: {} changes wait already", commits_.size());
  co_await pending->done.wait();
  co_return *std::move(pending->result);
}

async::Task<void> EtcdStore::carry_out(EtcdStore& store, std::shared_ptr<Pending> pending) {
  const auto permit = co_await store.slots_.acquire();
  etcd::Marker marker = std::move(store.free_slots_.back());
  store.free_slots_.pop_back();
  std::string text = fmt::format("{}-{}", store.process_, ++store.commits_made_);
  pending->result = co_await etcd::commit(*store.client_, store.keys_,
                                          std::move(pending->transaction), marker, std::move(text));
  store.free_slots_.push_back(std::move(marker));
  pending->done.set();
}

Result<std::unique_ptr<Watch>> EtcdStore::watch(std::string prefix, Revision after) {
  return std::make_unique<etcd::EtcdWatch>(host_, *client_, keys_, std::move(prefix), after);
}

}  // namespace perigee::store
