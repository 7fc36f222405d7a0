// Snapshots on disk: memory copied with its holes, and a record that counts once.
#include "monitor/snapshot.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

namespace perigee::monitor {
namespace {

constexpr std::uint64_t kMib = 1024 * 1024;

// The working directory, as a monitor has the VM's.
class Directory {
 public:
  Directory() {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
    REQUIRE(::getcwd(before_.data(), before_.size()) != nullptr);
    REQUIRE(::chdir(path_.data()) == 0);
  }
  ~Directory() {
    remove_snapshot();
    ::unlink("disk");
    REQUIRE(::chdir(before_.data()) == 0);
    ::rmdir(path_.data());
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

 private:
  std::array<char, 32> path_{"/tmp/perigee-snapshot-XXXXXX"};
  std::array<char, 4096> before_{};
};

std::string read_at(int fd, off_t at, std::size_t size) {
  std::string text(size, '?');
  REQUIRE(::pread(fd, text.data(), size, at) == static_cast<ssize_t>(size));
  return text;
}

json::Value hardware(int cpus) {
  return json::object({{"cpus", cpus}});
}

TEST_CASE("memory is copied to disk with its holes") {
  const Directory directory;
  const auto ram = make_ram(64 * kMib);
  REQUIRE(ram.has_value());
  REQUIRE(::pwrite(ram->get(), "first", 5, 0) == 5);
  REQUIRE(::pwrite(ram->get(), "last", 4, static_cast<off_t>(64 * kMib) - 4) == 4);
  REQUIRE(save_ram(ram->get()).has_value());
  const auto saved = open_saved_ram();
  REQUIRE(saved.has_value());
  CHECK(read_at(saved->get(), 0, 5) == "first");
  CHECK(read_at(saved->get(), static_cast<off_t>(32 * kMib), 3) == std::string(3, '\0'));
  CHECK(read_at(saved->get(), static_cast<off_t>(64 * kMib) - 4, 4) == "last");
  struct stat info{};
  REQUIRE(::fstat(saved->get(), &info) == 0);
  CHECK(info.st_size == static_cast<off_t>(64 * kMib));
  CHECK(static_cast<std::uint64_t>(info.st_blocks) * 512 < 4 * kMib);
}

TEST_CASE("memory that is on disk already is not copied onto itself") {
  const Directory directory;
  const auto ram = make_ram(kMib);
  REQUIRE(::pwrite(ram->get(), "kept", 4, 100) == 4);
  REQUIRE(save_ram(ram->get()).has_value());
  const auto saved = open_saved_ram();
  REQUIRE(::pwrite(saved->get(), "more", 4, 200) == 4);
  REQUIRE(save_ram(saved->get()).has_value());
  CHECK(read_at(saved->get(), 100, 4) == "kept");
  CHECK(read_at(saved->get(), 200, 4) == "more");
}

TEST_CASE("the record tells whose snapshot it is, until it is used up") {
  const Directory directory;
  CHECK(check_record(hardware(1)).error().code == Code::not_found);
  CHECK_FALSE(has_record());
  REQUIRE(write_record(hardware(1)).has_value());
  CHECK(has_record());
  CHECK(check_record(hardware(1)).has_value());
  CHECK(check_record(hardware(2)).error().code == Code::conflict);
  CHECK(check_record(hardware(12)).error().code == Code::conflict);
  REQUIRE(remove_record().has_value());
  CHECK(check_record(hardware(1)).error().code == Code::not_found);
  CHECK(remove_record().has_value());
}

TEST_CASE("a file that is not there needs no sync; memory that can't be saved is an error") {
  const Directory directory;
  CHECK(sync_file("disk").has_value());
  CHECK(open_saved_ram().error().code == Code::not_found);
  CHECK_FALSE(save_ram(-1).has_value());
}

}  // namespace
}  // namespace perigee::monitor
