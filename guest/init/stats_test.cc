#include "init/stats.h"

#include <doctest/doctest.h>

#include "channel/limits.h"

namespace perigee::init {
namespace {

TEST_CASE("load, memory and open files are read") {
  channel::Stats stats;
  parse_loadavg("1.52 0.10 0.01 1/80 123\n", stats);
  parse_meminfo("MemTotal:         229204 kB\nMemFree:  12 kB\nHugePages_Total:   5\n", stats);
  parse_file_nr("608\t0\t9223372036854775807\n", stats);
  CHECK(stats.load_centi == std::array<std::uint32_t, 3>{152, 10, 1});
  CHECK(stats.memory[0] == 229204ULL * 1024);
  CHECK(stats.memory[1] == 12ULL * 1024);
  CHECK(stats.memory[2] == 0);
  CHECK(stats.files_open == 608);
  CHECK(stats.files_limit == INT64_MAX);
}

TEST_CASE("each CPU is read, their sum is not") {
  channel::Stats stats;
  parse_stat("cpu  9 9 9 9\ncpu0 4705 150 1120 16250 520 3 10 7 0 0\ncpu1 1 2\nintr 5\n", stats);
  REQUIRE(stats.cpus.size() == 2);
  CHECK(stats.cpus[0].name == "0");
  CHECK(stats.cpus[0].values ==
        std::array<std::uint64_t, 8>{4705, 150, 1120, 16250, 520, 3, 10, 7});
  CHECK(stats.cpus[1].values[1] == 2);
}

TEST_CASE("the machine's disks are read, others are not") {
  channel::Stats stats;
  parse_diskstats(
      "   7       0 loop0 1 1 1 1 1 1 1 1 1 1 1\n"
      " 254      16 vdb 1203 2 50210 310 12 4 128 3 0 290 313 0 0\n",
      stats);
  REQUIRE(stats.disks.size() == 1);
  CHECK(stats.disks[0].name == "vdb");
  CHECK(stats.disks[0].values[0] == 1203);
  CHECK(stats.disks[0].values[10] == 313);
}

TEST_CASE("interfaces are read, with and without a blank behind the colon") {
  channel::Stats stats;
  parse_net_dev(
      "Inter-|   Receive                |  Transmit\n"
      "    lo: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
      "  eth0:1500 12 0 0 0 0 0 0 800 9 0 0 0 0 0 1\n",
      stats);
  REQUIRE(stats.networks.size() == 2);
  CHECK(stats.networks[1].name == "eth0");
  CHECK(stats.networks[1].values[0] == 1500);
  CHECK(stats.networks[1].values[8] == 800);
  CHECK(stats.networks[1].values[15] == 1);
}

TEST_CASE("file systems are the root and those on disks that can be written") {
  CHECK(parse_mounts("overlay / overlay rw 0 0\nproc /proc proc rw 0 0\n"
                     "/dev/vda /layers/0 erofs ro 0 0\n/dev/vdc /data ext4 rw 0 0\n"
                     "/dev/vdc /data ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n") ==
        std::vector<std::string>{"/", "/data"});
}

TEST_CASE("no more rows are read than are sent") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "cpu" + std::to_string(i) + " 1 1 1 1\n";
  channel::Stats stats;
  parse_stat(text, stats);
  CHECK(stats.cpus.size() == channel::kMaxStatsRows);
}

TEST_CASE("tables that are none leave nothing behind") {
  for (const char* text : {"", "\n", "x", "cpu", "cpux", ":", "a:b", "vd vd vd", "1 2"}) {
    channel::Stats stats;
    parse_loadavg(text, stats);
    parse_meminfo(text, stats);
    parse_diskstats(text, stats);
    parse_file_nr(text, stats);
    CHECK(parse_mounts(text).empty());
    CHECK(stats.memory == channel::Stats{}.memory);
    CHECK(stats.disks.empty());
  }
}

}  // namespace
}  // namespace perigee::init
