// The tests that every Store engine passes. A test file instantiates them for its engine:
//
//   TEST_CASE_TEMPLATE_INVOKE(store_contract, MyFixture);
//
// A fixture has `async::Loop& loop()`, `Store& store()`, and is default-constructible where its
// static `available()` says so. Of its history `constexpr kHistory` revisions are kept, at the
// latest after `forget_history()`.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "async/combine.h"
#include "async/task_group.h"
#include "store/limits.h"
#include "store/store.h"

namespace perigee::store::contract {

inline Transaction put(std::string key, std::string value) {
  Transaction t;
  t.put(std::move(key), std::move(value));
  return t;
}

inline std::vector<std::string> keys(const Listing& listing) {
  std::vector<std::string> out;
  for (const Entry& entry : listing.entries) out.push_back(entry.key);
  return out;
}

inline async::Task<void> collect(Watch& watch, std::size_t count, std::vector<Change>& into) {
  while (into.size() < count) {
    auto changes = co_await watch.next();
    REQUIRE(changes.has_value());
    into.insert(into.end(), changes->begin(), changes->end());
  }
}

inline async::Task<void> add_one(Store& store, int& conflicts) {
  for (;;) {
    auto seen = co_await store.get("/n");
    Transaction t;
    t.expect("/n", *seen ? (*seen)->revision : 0);
    t.put("/n", std::to_string((*seen ? std::stoi((*seen)->value) : 0) + 1));
    auto done = co_await store.commit(std::move(t));
    if (done) co_return;
    REQUIRE(done.error().code == Code::conflict);
    ++conflicts;
  }
}

template <typename F>
void reads_and_writes(F& f) {
  auto& store = f.store();
  CHECK_FALSE((*f.loop().run(store.get("/a"))).has_value());
  CHECK(*f.loop().run(store.commit(put("/a", "1"))) == 1);
  Transaction two = put("/a", "2");
  two.put("/b", "3");
  CHECK(*f.loop().run(store.commit(two)) == 2);
  CHECK(**f.loop().run(store.get("/a")) == Entry{"/a", "2", 2});
  CHECK(**f.loop().run(store.get("/b")) == Entry{"/b", "3", 2});
  Transaction gone;
  gone.remove("/a");
  gone.remove("/never-there");
  CHECK(*f.loop().run(store.commit(gone)) == 3);
  CHECK_FALSE((*f.loop().run(store.get("/a"))).has_value());
}

template <typename F>
void lists_by_prefix(F& f) {
  auto& store = f.store();
  for (const char* key : {"/m/b", "/m/a", "/m", "/n/a", "/m/\xc3\xbc", "/m0"})
    REQUIRE(f.loop().run(store.commit(put(key, key))));
  const Listing listing = *f.loop().run(store.list("/m/"));
  CHECK(keys(listing) == std::vector<std::string>{"/m/a", "/m/b", "/m/\xc3\xbc"});
  CHECK(listing.revision == 6);
  CHECK(listing.entries[0] == Entry{"/m/a", "/m/a", 2});
  CHECK((*f.loop().run(store.list(""))).entries.size() == 6);
  CHECK((*f.loop().run(store.list("/x"))).entries.empty());
}

template <typename F>
void swaps_only_what_it_expects(F& f) {
  auto& store = f.store();
  Transaction create = put("/a", "1");
  create.expect("/a", 0);
  CHECK(f.loop().run(store.commit(create)).has_value());
  CHECK(f.loop().run(store.commit(create)).error().code == Code::conflict);
  Transaction partly = put("/b", "1");
  partly.expect("/a", 1);
  partly.expect("/c", 7);
  CHECK(f.loop().run(store.commit(partly)).error().code == Code::conflict);
  CHECK_FALSE((*f.loop().run(store.get("/b"))).has_value());
  CHECK((*f.loop().run(store.list(""))).revision == 1);
}

template <typename F>
void loses_no_update(F& f) {
  int conflicts = 0;
  async::TaskGroup group(f.loop());
  for (int i = 0; i < 20; ++i) group.spawn(add_one(f.store(), conflicts));
  f.loop().run(group.drained());
  CHECK((**f.loop().run(f.store().get("/n"))).value == "20");
  CHECK((**f.loop().run(f.store().get("/n"))).revision == 20);
}

template <typename F>
void watches_from_a_revision(F& f) {
  auto& store = f.store();
  Transaction first = put("/m/a", "1");
  first.put("/m/b", "1");
  REQUIRE(f.loop().run(store.commit(first)));
  REQUIRE(f.loop().run(store.commit(put("/x", "1"))));
  Transaction both = put("/m/a", "2");
  both.remove("/m/b");
  REQUIRE(f.loop().run(store.commit(both)));
  auto watch = *store.watch("/m/", 1);
  std::vector<Change> seen;
  f.loop().run(collect(*watch, 2, seen));
  CHECK(seen == std::vector<Change>{{3, "/m/a", "2"}, {3, "/m/b", std::nullopt}});

  async::TaskGroup group(f.loop());  // and what is committed while it waits
  group.spawn(collect(*watch, 3, seen));
  REQUIRE(f.loop().run(store.commit(put("/y", "1"))));
  CHECK(seen.size() == 2);
  REQUIRE(f.loop().run(store.commit(put("/m/c", "9"))));
  f.loop().run(group.drained());
  CHECK(seen.back() == Change{5, "/m/c", "9"});
}

template <typename F>
void checks_without_changing(F& f) {
  auto& store = f.store();
  REQUIRE(f.loop().run(store.commit(put("/a", "1"))));
  Transaction look;
  look.expect("/a", 1);
  look.expect("/b", 0);
  CHECK(*f.loop().run(store.commit(look)) == 1);
  look.expect("/b", 1);
  CHECK(f.loop().run(store.commit(look)).error().code == Code::conflict);
  CHECK((*f.loop().run(store.list(""))).revision == 1);
}

template <typename F>
void keeps_the_last_change_of_a_key(F& f) {
  auto& store = f.store();
  Transaction twice = put("/a", "1");
  twice.remove("/b");
  twice.put("/b", "2");
  twice.put("/a", "3");
  REQUIRE(f.loop().run(store.commit(twice)));
  CHECK(**f.loop().run(store.get("/a")) == Entry{"/a", "3", 1});
  CHECK(**f.loop().run(store.get("/b")) == Entry{"/b", "2", 1});
}

template <typename F>
void tells_a_late_watch_what_is_lost(F& f) {
  auto& store = f.store();
  for (int i = 0; i < F::kHistory + 5; ++i)
    REQUIRE(f.loop().run(store.commit(put("/a", std::to_string(i)))));
  f.forget_history();
  auto late = *store.watch("/", 4);
  CHECK(f.loop().run(late->next()).error().code == Code::data_loss);
  auto in_time = *store.watch("/", 5);
  std::vector<Change> seen;
  f.loop().run(collect(*in_time, F::kHistory, seen));
  CHECK(seen.front().revision == 6);
  CHECK(seen.back().revision == F::kHistory + 5);
}

template <typename F>
void carries_out_what_its_caller_left(F& f) {
  auto watch = *f.store().watch("/", 0);
  {
    async::Task<Result<Revision>> abandoned = f.store().commit(put("/a", "1"));
    abandoned.start();
  }
  std::vector<Change> seen;
  f.loop().run(collect(*watch, 1, seen));
  CHECK(seen[0] == Change{1, "/a", "1"});
}

template <typename F>
void refuses_what_is_too_big(F& f) {
  auto& store = f.store();
  CHECK(f.loop().run(store.commit(put("no-slash", "1"))).error().code == Code::invalid_argument);
  CHECK(f.loop().run(store.commit(put("/" + std::string(kMaxKeyBytes, 'k'), ""))).error().code ==
        Code::invalid_argument);
  CHECK(f.loop().run(store.commit(put("/a", std::string(kMaxValueBytes + 1, 'v')))).error().code ==
        Code::resource_exhausted);
  Transaction many;
  for (std::size_t i = 0; i <= kMaxTransactionChanges; ++i) many.put("/a", "");
  CHECK(f.loop().run(store.commit(many)).error().code == Code::resource_exhausted);
  CHECK(f.loop().run(store.commit(put("/a", std::string(kMaxValueBytes, 'v')))).has_value());
}

}  // namespace perigee::store::contract

namespace perigee::store {
using namespace contract;  // NOLINT: a test header

TEST_CASE_TEMPLATE_DEFINE("a store keeps its contract", F, store_contract) {
  if (!F::available()) return;
  F fixture;
  SUBCASE("reads what was written, all or nothing") {
    reads_and_writes(fixture);
  }
  SUBCASE("lists by prefix, in order") {
    lists_by_prefix(fixture);
  }
  SUBCASE("swaps only what it expects") {
    swaps_only_what_it_expects(fixture);
  }
  SUBCASE("loses no update of concurrent writers") {
    loses_no_update(fixture);
  }
  SUBCASE("checks expectations without a change") {
    checks_without_changing(fixture);
  }
  SUBCASE("keeps the last change of a key that a transaction changes twice") {
    keeps_the_last_change_of_a_key(fixture);
  }
  SUBCASE("watches from a revision") {
    watches_from_a_revision(fixture);
  }
  SUBCASE("tells a late watch what is lost") {
    tells_a_late_watch_what_is_lost(fixture);
  }
  SUBCASE("carries out what its caller left") {
    carries_out_what_its_caller_left(fixture);
  }
  SUBCASE("refuses what is too big") {
    refuses_what_is_too_big(fixture);
  }
}

}  // namespace perigee::store
