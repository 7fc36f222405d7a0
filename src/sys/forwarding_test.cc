// Forwarding against folders that look like /proc/sys/net.
#include "sys/forwarding.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace perigee::sys {
namespace {

namespace fs = std::filesystem;

struct Fixture {
  Fixture() {
    std::string pattern = "/tmp/perigee-forwarding-XXXXXX";
    root = ::mkdtemp(pattern.data());
  }
  ~Fixture() { fs::remove_all(root); }
  void write(const std::string& name, const std::string& text) {
    const fs::path path = root + "/proc/sys/net/" + name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::string read(const std::string& name) {
    std::ifstream file(root + "/proc/sys/net/" + name);
    std::string text;
    std::getline(file, text);
    return text;
  }
  std::string root;
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a host that begins to forward keeps its advertised routes") {
  write("ipv4/ip_forward", "0\n");
  write("ipv6/conf/all/forwarding", "0\n");
  write("ipv6/conf/eth0/accept_ra", "1\n");
  write("ipv6/conf/eth1/accept_ra", "0\n");
  REQUIRE(enable_forwarding(root).has_value());
  CHECK(read("ipv4/ip_forward") == "1");
  CHECK(read("ipv6/conf/all/forwarding") == "1");
  CHECK(read("ipv6/conf/eth0/accept_ra").starts_with("2"));
  CHECK(read("ipv6/conf/eth1/accept_ra") == "0");
}

TEST_CASE_FIXTURE(Fixture, "a host that forwards already, or lacks IPv6, is left as it is") {
  write("ipv4/ip_forward", "1\n");
  REQUIRE(enable_forwarding(root).has_value());
  write("ipv6/conf/all/forwarding", "1\n");
  write("ipv6/conf/eth0/accept_ra", "1\n");
  REQUIRE(enable_forwarding(root).has_value());
  CHECK(read("ipv6/conf/eth0/accept_ra") == "1");
}

TEST_CASE_FIXTURE(Fixture, "a setting that can't be made is named") {
  const auto refused = enable_forwarding(root);
  REQUIRE(!refused.has_value());
  CHECK(refused.error().context.find("ip_forward") != std::string::npos);
}

}  // namespace perigee::sys
