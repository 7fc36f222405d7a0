// A store's content as a file and back, and loads that are interrupted wherever they can be.
#include "store/backup.h"

#include <doctest/doctest.h>

#include <map>
#include <tuple>

#include "store/memory_store.h"
#include "store/store_contract.h"
#include "sys/posix_host.h"

namespace perigee::store {
namespace {

// Fails from a commit on, once it was made or not, as if the program had been killed.
class FailingStore : public Store {
 public:
  enum class Last { made, not_made };
  FailingStore(Store& inner, int commits, Last last) : inner_(inner), left_(commits), last_(last) {}
  async::Task<Result<std::optional<Entry>>> get(std::string key) override {
    return inner_.get(std::move(key));
  }
  async::Task<Result<Listing>> list(std::string prefix) override {
    return inner_.list(std::move(prefix));
  }
  Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision after) override {
    return inner_.watch(std::move(prefix), after);
  }
  async::Task<Result<Revision>> commit(Transaction transaction) override {
    if (left_-- > 0) co_return co_await inner_.commit(std::move(transaction));
    if (last_ == Last::made) std::ignore = co_await inner_.commit(std::move(transaction));
    co_return fail(Code::unavailable, "killed");
  }

 private:
  Store& inner_;
  int left_;
  Last last_;
};

struct Fixture {
  Listing content_of(Store& store) { return *host->loop().run(store.list("/")); }
  Result<void> run_load(Store& target_store, const Listing& content,
                        Target target = Target::empty) {
    return host->loop().run(load(target_store, content, target));
  }
  std::map<std::string, std::string> values(Store& store) {
    std::map<std::string, std::string> out;
    for (const Entry& entry : content_of(store).entries) out[entry.key] = entry.value;
    return out;
  }
  // A store in which keys have been written, changed and removed.
  Fixture() {
    for (int i = 0; i < 250; ++i)
      commit(from, contract::put(fmt::format("/k/{:03}", (i * 7) % 250), std::to_string(i)));
    commit(from, contract::put("/\xc3\xbc", std::string("\0\xff\n\"", 4)));
    commit(from, contract::put("/large", std::string(kMaxValueBytes, 'v')));
    Transaction gone;
    gone.remove("/k/001");
    commit(from, gone);
  }
  void commit(Store& store, Transaction transaction) {
    REQUIRE(host->loop().run(store.commit(std::move(transaction))).has_value());
  }
  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(1);
  MemoryStore from{host->loop()};
  MemoryStore into{host->loop()};
};

TEST_CASE_FIXTURE(Fixture, "a backup holds every byte of every entry, and its revision") {
  const Listing content = content_of(from);
  const auto read = parse_backup(encode_backup(content));
  REQUIRE(read.has_value());
  CHECK(read->revision == content.revision);
  CHECK(read->entries == content.entries);
  CHECK(parse_backup(encode_backup({}))->entries.empty());
}

TEST_CASE("a backup that was cut, changed or is something else is refused") {
  const Listing content{.entries = {{"/a", "1", 1}, {"/b", "2", 2}}, .revision = 2};
  const std::string good = encode_backup(content);
  for (std::size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(parse_backup(good.substr(0, size)).has_value());
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    CAPTURE(at);
    std::string changed = good;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    CHECK_FALSE(parse_backup(changed).has_value());
  }
  CHECK_FALSE(parse_backup(good + good).has_value());
}

TEST_CASE_FIXTURE(Fixture, "what is loaded is what was backed up, in the order of its revisions") {
  REQUIRE(run_load(into, content_of(from)).has_value());
  CHECK(values(into) == values(from));
  Revision last = 0;
  for (int i = 1; i < 250; ++i) {  // written in this order, and so loaded
    const auto entry = **host->loop().run(into.get(fmt::format("/k/{:03}", (i * 7) % 250)));
    if (entry.key == "/k/001") continue;
    CHECK(entry.revision >= last);
    last = entry.revision;
  }
  const Revision done = content_of(into).revision;
  CHECK(run_load(into, content_of(from)).has_value());  // again: there already
  CHECK(content_of(into).revision == done);
}

TEST_CASE_FIXTURE(Fixture, "a store that is not empty is left alone, unless it may be replaced") {
  commit(into, contract::put("/mine", "1"));
  const auto refused = run_load(into, content_of(from));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == Code::conflict);
  CHECK(refused.error().context.find("--force") != std::string::npos);
  CHECK(values(into) == std::map<std::string, std::string>{{"/mine", "1"}});
  REQUIRE(run_load(into, content_of(from), Target::anything).has_value());
  CHECK(values(into) == values(from));
}

TEST_CASE_FIXTURE(Fixture,
                  "a load that is killed at any commit is refused by control and goes on") {
  using Last = FailingStore::Last;
  int interrupted = 0;
  for (const Last last : {Last::made, Last::not_made}) {
    for (int commits = 0; commits < 20; ++commits) {
      CAPTURE(commits);
      MemoryStore target(host->loop());
      FailingStore killed(target, commits, last);
      const bool failed = !run_load(killed, content_of(from)).has_value();
      if (failed) ++interrupted;
      const bool whole = values(target) == values(from);
      const bool begun = !content_of(target).entries.empty();
      CHECK(host->loop().run(check_loaded(target)).has_value() == (whole || !begun));
      if (failed && begun && !whole) {  // nothing but the same content goes on there
        Listing other = content_of(from);
        other.entries.pop_back();
        CHECK_FALSE(run_load(target, other).has_value());
      }
      REQUIRE(run_load(target, content_of(from)).has_value());
      CHECK(values(target) == values(from));
    }
  }
  CHECK(interrupted >= 10);
}

}  // namespace
}  // namespace perigee::store
