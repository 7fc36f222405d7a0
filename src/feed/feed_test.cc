// A feed's bytes, however they are cut, tell the same keys and values.
#include <doctest/doctest.h>

#include <map>

#include "feed/limits.h"
#include "feed/reader.h"

namespace perigee::feed {
namespace {

struct Told : Sink {
  void changed(const std::string& key, const json::Value* value) override {
    if (value == nullptr) {
      keys.erase(key);
    } else {
      keys[key] = value->dump();
    }
  }
  void synced(const std::set<std::string>& all) override {
    std::erase_if(keys, [&](const auto& each) { return !all.contains(each.first); });
    ++syncs;
  }
  void settled() override { ++settles; }
  std::map<std::string, std::string> keys;
  int syncs = 0;
  int settles = 0;
};

constexpr std::string_view kSnapshot =
    "{\"version\":1,\"epoch\":\"e\",\"revision\":7,\"snapshot\":true}\n"
    "{\"revision\":3,\"key\":\"/a\",\"value\":{\"x\":1}}\n"
    "{\"revision\":7,\"key\":\"/b\",\"value\":2}\n"
    "{\"revision\":7,\"synced\":true}\n";

TEST_CASE("a snapshot counts when it is whole, in whatever pieces it comes") {
  for (const std::size_t size : {1UL, 5UL, 64UL, kSnapshot.size()}) {
    Told told;
    told.keys["/old"] = "1";
    Reader reader(told);
    reader.restart();
    for (std::size_t at = 0; at < kSnapshot.size(); at += size) {
      CHECK(told.settles == 0);
      REQUIRE(reader.feed(kSnapshot.substr(at, size)).has_value());
    }
    CHECK(told.keys == std::map<std::string, std::string>{{"/a", "{\"x\":1}"}, {"/b", "2"}});
    CHECK(told.syncs == 1);
    CHECK(told.settles == 1);
    CHECK(reader.position() == "e-7");
  }
}

TEST_CASE("a snapshot that is cut short is asked for again in full") {
  Told told;
  Reader reader(told);
  reader.restart();
  REQUIRE(reader.feed(kSnapshot).has_value());
  reader.restart();
  REQUIRE(reader.feed(kSnapshot.substr(0, 100)).has_value());
  CHECK(reader.position().empty());
}

TEST_CASE("changes go on where the reader was, and a key may go") {
  Told told;
  Reader reader(told);
  reader.restart();
  REQUIRE(reader.feed(kSnapshot).has_value());
  reader.restart();
  REQUIRE(reader
              .feed("{\"version\":1,\"epoch\":\"e\",\"revision\":9,\"snapshot\":false}\n"
                    "{\"revision\":9,\"key\":\"/a\",\"value\":null}\n{}\n")
              .has_value());
  CHECK(told.keys == std::map<std::string, std::string>{{"/b", "2"}});
  CHECK(reader.position() == "e-9");
}

TEST_CASE("what can't be trusted ends the connection") {
  for (const char* text :
       {"garbage\n", "[]\n", "{\"version\":2,\"epoch\":\"e\",\"revision\":1}\n",
        "{\"version\":1,\"revision\":1}\n",
        "{\"version\":1,\"epoch\":\"e\",\"revision\":1,\"snapshot\":false}\n",
        "{\"version\":1,\"epoch\":\"e\",\"revision\":1,\"snapshot\":true}\n{\"key\":\"/a\"}\n"}) {
    Told told;
    Reader reader(told);
    reader.restart();
    CAPTURE(text);
    CHECK_FALSE(reader.feed(text).has_value());
  }
  Told told;
  Reader reader(told);
  reader.restart();
  CHECK_FALSE(reader.feed(std::string(kMaxLine + 1, 'x')).has_value());
}

}  // namespace
}  // namespace perigee::feed
