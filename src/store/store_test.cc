// The engines in this process against the contract, and what only a file has: durability, versions,
// permissions. etcd_test.cc has etcd's.
#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "store/memory_store.h"
#include "store/sqlite_store.h"
#include "store/store_contract.h"
#include "sys/posix_host.h"

namespace perigee::store {
namespace {

constexpr StoreLimits kSmall{.history_revisions = 10};

struct MemoryFixture {
  static constexpr int kHistory = 10;
  static bool available() { return true; }
  void forget_history() {}  // it is, with each commit
  async::Loop& loop() { return host->loop(); }
  Store& store() { return memory; }
  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(1);
  MemoryStore memory{host->loop(), kSmall};
};

struct SqliteFixture {
  static constexpr int kHistory = 10;
  static bool available() { return true; }
  void forget_history() {}  // it is, with each commit
  SqliteFixture() {
    std::string pattern = "/tmp/perigee-store-XXXXXX";
    directory = ::mkdtemp(pattern.data());
    reopen();
  }
  ~SqliteFixture() {
    sqlite.reset();
    host.reset();
    std::filesystem::remove_all(directory);
  }
  void reopen() {
    sqlite.reset();
    auto opened = loop().run(SqliteStore::open(host->host(), path(), kSmall));
    REQUIRE(opened.has_value());
    sqlite = *std::move(opened);
  }
  std::string path() const { return directory + "/store.db"; }
  async::Loop& loop() { return host->loop(); }
  Store& store() { return *sqlite; }

  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(3);
  std::string directory;
  std::unique_ptr<SqliteStore> sqlite;
};

TEST_CASE_TEMPLATE_INVOKE(store_contract, MemoryFixture, SqliteFixture);

TEST_CASE_FIXTURE(SqliteFixture, "what was committed is there after a restart, watches included") {
  REQUIRE(loop().run(store().commit(contract::put("/a", "1"))));
  REQUIRE(loop().run(store().commit(contract::put("/a", "2"))));
  reopen();
  CHECK(**loop().run(store().get("/a")) == Entry{"/a", "2", 2});
  auto watch = *store().watch("/", 1);
  CHECK(loop().run(watch->next()) == std::vector<Change>{{2, "/a", "2"}});
  CHECK(*loop().run(store().commit(contract::put("/a", "3"))) == 3);
}

TEST_CASE_FIXTURE(SqliteFixture, "the file is its owner's alone") {
  struct stat info{};
  REQUIRE(::stat(path().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE_FIXTURE(SqliteFixture, "a file that is no store is refused, and left as it is") {
  const std::string other = directory + "/other.db";
  std::ofstream(other) << std::string(4096, 'x');
  const auto opened = loop().run(SqliteStore::open(host->host(), other));
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().code == Code::data_loss);
  CHECK(opened.error().context.find(other) != std::string::npos);
  CHECK(std::filesystem::file_size(other) == 4096);
}

TEST_CASE_FIXTURE(SqliteFixture, "a directory that is not there is named") {
  const auto opened = loop().run(SqliteStore::open(host->host(), directory + "/no/store.db"));
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().code == Code::not_found);
  CHECK(opened.error().context.find("/no/store.db") != std::string::npos);
}

}  // namespace
}  // namespace perigee::store
