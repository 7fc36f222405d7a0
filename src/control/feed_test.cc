// Feed: what a receiver is told, from any place it may be at.
#include "control/feed.h"

#include <doctest/doctest.h>

#include "control/limits.h"
#include "sys/posix_host.h"

namespace perigee::control {
namespace {

struct Fixture {
  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(1);
  Feed feed{host->loop(), "e1"};
};

TEST_CASE_FIXTURE(Fixture, "a snapshot has each key once and says when it is whole") {
  feed.set("/a", "1");
  feed.set("/b", "{\"x\":2}");
  feed.set("/a", "3");
  feed.set("/b", std::nullopt);
  feed.set("/c", "4");
  CHECK(feed.snapshot() ==
        "{\"version\":1,\"epoch\":\"e1\",\"revision\":5,\"snapshot\":true}\n"
        "{\"revision\":3,\"key\":\"/a\",\"value\":3}\n"
        "{\"revision\":5,\"key\":\"/c\",\"value\":4}\n"
        "{\"revision\":5,\"synced\":true}\n");
}

TEST_CASE_FIXTURE(Fixture, "what was missed is each changed key's newest value, in order") {
  feed.set("/a", "1");
  feed.set("/b", "2");
  feed.set("/a", "3");
  feed.set("/b", std::nullopt);
  CHECK(*feed.changes_since(1) ==
        "{\"revision\":3,\"key\":\"/a\",\"value\":3}\n"
        "{\"revision\":4,\"key\":\"/b\",\"value\":null}\n");
  CHECK(feed.changes_since(4)->empty());
}

TEST_CASE_FIXTURE(Fixture, "setting the same value, or deleting what is not there, is no change") {
  feed.set("/a", "1");
  feed.set("/a", "1");
  feed.set("/b", std::nullopt);
  CHECK(feed.revision() == 1);
  feed.set("/a", std::nullopt);
  feed.set("/a", std::nullopt);
  CHECK(feed.revision() == 2);
  feed.set("/a", "1");
  CHECK(*feed.changes_since(0) == "{\"revision\":3,\"key\":\"/a\",\"value\":1}\n");
}

TEST_CASE_FIXTURE(Fixture, "only a place in this epoch is resumed") {
  feed.set("/a", "1");
  CHECK(feed.resume_at("e1-1") == 1);
  CHECK(feed.resume_at("e1-0") == 0);
  for (const char* from : {"", "e1-2", "e0-1", "e1", "e1--1", "e1-x", "-1"}) {
    CAPTURE(from);
    CHECK_FALSE(feed.resume_at(from).has_value());
  }
}

TEST_CASE_FIXTURE(Fixture, "deletions are remembered up to a bound, then a snapshot is due") {
  feed.set("/kept", "1");
  for (std::size_t i = 0; i <= kMaxTombstones; ++i) {
    feed.set(fmt::format("/k{}", i), "1");
    feed.set(fmt::format("/k{}", i), std::nullopt);
  }
  CHECK_FALSE(feed.changes_since(1).has_value());  // /k0's deletion is forgotten
  CHECK(feed.changes_since(3).has_value());
  CHECK(feed.keys() == std::vector<std::string>{"/kept"});
}

}  // namespace
}  // namespace perigee::control
