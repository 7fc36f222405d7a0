// EtcdStore against real etcd: the contract, and what only a cluster does: leaders that are killed,
// members that stand still, compaction, certificates and users.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <deque>
#include <map>

#include "crypto/hash.h"
#include "store/etcd_cluster.h"
#include "store/etcd_compactor.h"
#include "store/etcd_store.h"
#include "store/store_contract.h"

namespace perigee::store {
namespace {

// One cluster of three for all tests here that leave it as they found it: starting one takes
// seconds.
struct Shared {
  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(2);
  EtcdCluster cluster{*host, {.members = 3}};
};
Shared& shared() {
  static Shared one;
  return one;
}

bool without_etcd() {
  if (EtcdCluster::program()) return false;
  MESSAGE("skipped: no etcd: tools/setup test fetches it, or set PERIGEE_ETCD to one");
  return true;
}

etcd::EtcdKeys keys_of(EtcdCluster& cluster, const EtcdOptions& options) {
  etcd::EtcdKeys keys{.prefix = options.prefix};
  const auto record = *etcd::parse_range(
      cluster.call("/v3/kv/range", encode(etcd::RangeQuery{.key = keys.format_record()})));
  keys.base = record.entries.at(0).created;
  return keys;
}

// A store of its own in the shared cluster.
struct EtcdFixture {
  static constexpr int kHistory = 10;
  static bool available() { return !without_etcd(); }

  EtcdFixture() {
    static int count = 0;
    options = cluster.options(fmt::format("/test{}", ++count));
    store_ = open();
  }
  std::unique_ptr<EtcdStore> open() {
    auto opened = loop().run(EtcdStore::open(shared().host->host(), options));
    if (!opened) FAIL(opened.error().context);
    return *std::move(opened);
  }
  void forget_history() {
    const Revision last = loop().run(store().list(""))->revision;
    cluster.call("/v3/kv/compaction",
                 etcd::encode_compaction(keys_of(cluster, options).to_etcd(last - kHistory + 1)));
  }
  async::Loop& loop() { return shared().host->loop(); }
  Store& store() { return *store_; }

  EtcdCluster& cluster = shared().cluster;
  EtcdOptions options;
  std::unique_ptr<EtcdStore> store_;
};

// One writer's chain of compare-and-swaps on a key that nobody else writes. A change that was lost,
// or done twice, is a conflict.
struct Chain {
  std::string key;
  int written = 0;
  Duration longest{};
  bool go_on = true;
};

async::Task<void> write_chain(async::Loop& loop, Store& store, Chain& chain) {
  Revision last = 0;
  while (chain.go_on) {
    Transaction t = contract::put(chain.key, std::to_string(chain.written));
    t.expect(chain.key, last);
    const MonotonicTime before = loop.now();
    const auto done = co_await store.commit(std::move(t));
    if (!done) FAIL(done.error().context);
    chain.longest = std::max(chain.longest, loop.now() - before);
    last = *done;
    ++chain.written;
  }
}

async::Task<void> watch_all(Watch& watch, std::map<std::string, std::vector<std::string>>& seen) {
  for (;;) {
    auto changes = co_await watch.next();
    REQUIRE(changes.has_value());
    for (Change& change : *changes) seen[change.key].push_back(change.value.value_or("gone"));
  }
}

async::Task<void> sleep(async::Loop& loop, Duration time) {
  co_await loop.sleep(time);
}

// Runs writers and a watcher while `disturb` does its worst; then each write must be there once,
// and have been seen once, in order.
template <typename F>
void write_through(EtcdFixture& f, F disturb) {
  std::deque<Chain> chains;
  std::map<std::string, std::vector<std::string>> seen;
  const auto watch = *f.store().watch("/", 0);
  async::TaskGroup writers(f.loop());
  async::TaskGroup watchers(f.loop());
  watchers.spawn(watch_all(*watch, seen));
  for (const char* key : {"/w0", "/w1", "/w2", "/w3", "/w4", "/w5"}) {
    chains.push_back({.key = key});
    writers.spawn(write_chain(f.loop(), f.store(), chains.back()));
  }
  f.loop().run(sleep(f.loop(), 300ms));
  disturb();
  for (Chain& chain : chains) chain.go_on = false;
  f.loop().run(writers.drained());

  const auto all_seen = [&](const Chain& chain) {
    return static_cast<int>(seen[chain.key].size()) >= chain.written;
  };
  const MonotonicTime end = f.loop().now() + 20s;
  while (!std::ranges::all_of(chains, all_seen) && f.loop().now() < end)
    f.loop().run(sleep(f.loop(), 50ms));
  for (const Chain& chain : chains) {
    CAPTURE(chain.key);
    CHECK(chain.written > 0);
    CHECK((**f.loop().run(f.store().get(chain.key))).value == std::to_string(chain.written - 1));
    std::vector<std::string> expected;
    for (int n = 0; n < chain.written; ++n) expected.push_back(std::to_string(n));
    CHECK(seen[chain.key] == expected);
    MESSAGE(chain.key << ": " << chain.written << " commits, the longest " << to_ms(chain.longest)
                      << " ms");
  }
}

#define NEEDS_ETCD() \
  if (without_etcd()) return

TEST_CASE_TEMPLATE_INVOKE(store_contract, EtcdFixture);

TEST_CASE("a list of many pages is of one revision, whatever is written meanwhile") {
  NEEDS_ETCD();
  EtcdFixture f;
  constexpr int kEntries = 2 * static_cast<int>(kEtcdPage) + 7;
  for (int i = 0; i < kEntries; i += 100) {
    Transaction t;
    for (int k = i; k < std::min(i + 100, kEntries); ++k) t.put(fmt::format("/k/{:04}", k), "1");
    REQUIRE(f.loop().run(f.store().commit(std::move(t))).has_value());
  }
  Chain chain{.key = "/k/9999"};
  async::TaskGroup writers(f.loop());
  writers.spawn(write_chain(f.loop(), f.store(), chain));
  for (int i = 0; i < 5; ++i) {
    const auto listing = f.loop().run(f.store().list("/k/"));
    REQUIRE(listing.has_value());
    CHECK(listing->entries.size() >= static_cast<std::size_t>(kEntries));
    for (const Entry& entry : listing->entries) CHECK(entry.revision <= listing->revision);
  }
  chain.go_on = false;
  f.loop().run(writers.drained());
}

TEST_CASE("a transaction larger than etcd takes is refused with the next step") {
  NEEDS_ETCD();
  EtcdFixture f;
  Transaction t;
  for (const char* key : {"/a", "/b"}) t.put(key, std::string(kMaxValueBytes, 'v'));
  const auto done = f.loop().run(f.store().commit(std::move(t)));
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().code == Code::resource_exhausted);
  CAPTURE(done.error().context);
  CHECK(done.error().context.find("--max-request-bytes") != std::string::npos);
}

TEST_CASE("a leader that is killed during commits loses nothing and repeats nothing") {
  NEEDS_ETCD();
  EtcdFixture f;
  write_through(f, [&] {
    const std::size_t leader = f.cluster.leader().value();
    f.cluster.signal(leader, SIGKILL);
    f.loop().run(sleep(f.loop(), 3s));
    f.cluster.start(leader);
    f.cluster.await_leader();
    f.loop().run(sleep(f.loop(), 500ms));
  });
}

TEST_CASE("a leader that stands still and comes back late does nothing twice") {
  NEEDS_ETCD();
  EtcdFixture f;
  write_through(f, [&] {
    const std::size_t leader = f.cluster.leader().value();
    f.cluster.signal(leader, SIGSTOP);
    f.loop().run(sleep(f.loop(), 5s));
    f.cluster.signal(leader, SIGCONT);
    f.loop().run(sleep(f.loop(), 1s));
  });
}

TEST_CASE("a commit is undecided only while no member answers, and says so") {
  NEEDS_ETCD();
  EtcdFixture f;
  f.options.endpoints = {"http://127.0.0.1:1"};
  f.options.patience = 1s;
  const auto opened = f.loop().run(EtcdStore::open(shared().host->host(), f.options));
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().code == Code::unavailable);
}

TEST_CASE("one of several processes compacts, and what nobody uses is swept") {
  NEEDS_ETCD();
  EtcdFixture f;
  const etcd::EtcdKeys keys = keys_of(f.cluster, f.options);
  const auto client = *etcd::EtcdClient::open(shared().host->host(), f.options);
  const auto look = [&](etcd::SeenRecord& seen) {
    auto looked = f.loop().run(etcd::look_at_compaction(*client, keys, seen, 100ms));
    REQUIRE(looked.has_value());
    const bool wrote = looked->revision != seen.revision;
    seen = *looked;
    return wrote;
  };
  REQUIRE(f.loop().run(f.store().commit(contract::put("/a", "1"))).has_value());
  etcd::SeenRecord one{.since = f.loop().now()};
  etcd::SeenRecord two{.since = f.loop().now()};
  CHECK_FALSE(look(one));  // too early
  f.loop().run(sleep(f.loop(), 150ms));
  CHECK(look(one));  // writes the first record
  CHECK(look(two));  // sees it
  CHECK_FALSE(look(two));
  REQUIRE(f.loop().run(f.store().commit(contract::put("/b", "1"))).has_value());
  f.loop().run(sleep(f.loop(), 150ms));
  CHECK(look(two));  // compacts up to the first record

  const auto early = *f.store().watch("/", 0);
  CHECK(f.loop().run(early->next()).error().code == Code::data_loss);
  const auto late = *f.store().watch("/", keys.from_etcd(one.revision));
  CHECK(f.loop().run(late->next())->front().key == "/b");
  // The slot's marker is gone; its next commit finds that out.
  CHECK(f.loop().run(f.store().commit(contract::put("/c", "1"))).has_value());
}

TEST_CASE("certificates, a user with a role for the prefix, and tokens that a restart forgets") {
  NEEDS_ETCD();
  const auto host = *sys::PosixHost::open(1);
  EtcdCluster cluster(*host,
                      {.members = 1, .tls = EtcdCluster::Options::Tls::with_client_certificates});
  EtcdOptions options = cluster.options("/perigee");
  const auto base64 = [](std::string_view text) { return crypto::base64_encode(text); };
  for (const char* user : {"root", "perigee"}) {
    cluster.call("/v3/auth/user/add", fmt::format(R"({{"name":"{0}","password":"pw-{0}"}})", user));
    cluster.call("/v3/auth/role/add", fmt::format(R"({{"name":"{}"}})", user));
    cluster.call("/v3/auth/user/grant", fmt::format(R"({{"user":"{0}","role":"{0}"}})", user));
  }
  cluster.call("/v3/auth/role/grant",
               fmt::format(R"({{"name":"perigee","perm":{{"permType":"READWRITE","key":"{}",)"
                           R"("range_end":"{}"}}}})",
                           base64("/perigee"), base64("/perigef")));
  cluster.call("/v3/auth/enable", "{}");

  const auto refused = host->loop().run(EtcdStore::open(host->host(), options));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == Code::permission_denied);
  options.user = "perigee";
  options.password = "wrong";
  CHECK(host->loop().run(EtcdStore::open(host->host(), options)).error().code ==
        Code::unauthenticated);
  options.password = "pw-perigee";
  auto opened = host->loop().run(EtcdStore::open(host->host(), options));
  if (!opened) FAIL(opened.error().context);
  Store& store = **opened;
  CHECK(*host->loop().run(store.commit(contract::put("/a", "1"))) == 1);
  const auto watch = *store.watch("/", 0);
  CHECK(host->loop().run(watch->next())->front().key == "/a");

  cluster.signal(0, SIGKILL);
  cluster.start(0);
  CHECK(host->loop().run(store.commit(contract::put("/b", "1"))).has_value());
  CHECK(host->loop().run(watch->next())->front().key == "/b");

  EtcdOptions stranger = options;
  stranger.identity = {};
  stranger.patience = 1s;
  CHECK_FALSE(host->loop().run(EtcdStore::open(host->host(), stranger)).has_value());
  EtcdOptions elsewhere = options;
  elsewhere.prefix = "/other";
  CHECK(host->loop().run(EtcdStore::open(host->host(), elsewhere)).error().code ==
        Code::permission_denied);
}

}  // namespace
}  // namespace perigee::store
