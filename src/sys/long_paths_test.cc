// TCP's settings against folders that look like /proc/sys/net.
#include "sys/long_paths.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace perigee::sys {
namespace {

namespace fs = std::filesystem;

struct Fixture {
  Fixture() {
    std::string pattern = "/tmp/perigee-long-paths-XXXXXX";
    root = ::mkdtemp(pattern.data());
    fs::create_directories(root + "/proc/sys/net/ipv4");
    write("tcp_rmem", "4096\t131072\t6291456");
    write("tcp_wmem", "4096\t16384\t4194304");
    write("tcp_slow_start_after_idle", "1");
  }
  ~Fixture() { fs::remove_all(root); }
  std::string path(const std::string& name) const { return root + "/proc/sys/net/ipv4/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text << "\n";
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name));
    std::string text;
    std::getline(file, text);
    return text;
  }
  std::string root;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "TCP's buffers may grow to what a long path needs, and stay warm") {
  REQUIRE(prepare_for_long_paths(root).has_value());
  CHECK(read("tcp_rmem") == "4096\t131072\t16777216");
  CHECK(read("tcp_wmem") == "4096\t16384\t16777216");
  CHECK(read("tcp_slow_start_after_idle") == "0");
}

TEST_CASE_FIXTURE(Fixture, "buffers that may grow further are left as they are") {
  write("tcp_rmem", "4096\t131072\t33554432");
  REQUIRE(prepare_for_long_paths(root).has_value());
  CHECK(read("tcp_rmem") == "4096\t131072\t33554432");
}

TEST_CASE_FIXTURE(Fixture, "a kernel whose settings are others is named") {
  write("tcp_wmem", "4096");
  const auto refused = prepare_for_long_paths(root);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().context.find("tcp_wmem") != std::string::npos);
}

}  // namespace perigee::sys
