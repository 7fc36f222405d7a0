#include "sys/usage.h"

#include <doctest/doctest.h>
#include <unistd.h>

namespace perigee::sys {
namespace {

TEST_CASE("CPU time is read behind a command that looks like more fields") {
  const auto cpu = stat_cpu("42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 7");
  REQUIRE(cpu.has_value());
  CHECK(*cpu == Duration(2s) * 100 / ::sysconf(_SC_CLK_TCK));
  CHECK_FALSE(stat_cpu("42 (a) S 1 2").has_value());
  CHECK_FALSE(stat_cpu("").has_value());
  CHECK_FALSE(stat_cpu("42 (a) S 1 42 42 0 -1 4194560 100 0 0 0 x 50 0 0").has_value());
}

TEST_CASE("memory is read by its key") {
  const char* text =
      "55d0-7ffd ---p [rollup]\nRss:                1832 kB\nPss:   941 kB\nPss_Anon: 1 kB\n";
  CHECK(smaps_bytes(text, "Rss") == 1832ULL * 1024);
  CHECK(smaps_bytes(text, "Pss") == 941ULL * 1024);
  CHECK(smaps_bytes(text, "Swap") == 0);
}

TEST_CASE("this process has used something, one that is not there nothing") {
  const auto own = process_usage(::getpid());
  REQUIRE(own.has_value());
  CHECK(own->resident_bytes > 0);
  CHECK(own->proportional_bytes <= own->resident_bytes);
  CHECK_FALSE(process_usage(0).has_value());
}

TEST_CASE("an interface's counters are those of its line, also where a number touches the colon") {
  const char* text =
      "Inter-|   Receive  |  Transmit\n face |bytes    packets errs drop fifo frame compressed\n"
      "    lo:    7      1    0    0    0     0          0         0        8       2    0\n"
      "pg-0:123456789012 34 0 0 0 0 0 0 56 78 0 0 0 0 0 0\n";
  CHECK(interface_counters(text, "pg-0") == InterfaceUsage{123456789012, 34, 56, 78});
  CHECK(interface_counters(text, "lo") == InterfaceUsage{7, 1, 8, 2});
  CHECK(interface_counters(text, "pg").error().code == Code::not_found);
  CHECK_FALSE(interface_counters("lo: 1 2\n", "lo").has_value());
}

TEST_CASE("the loopback interface counts, one that is not there does not") {
  const auto loopback = interface_usage("lo");
  REQUIRE(loopback.has_value());
  CHECK(loopback->sent_bytes == loopback->received_bytes);
  CHECK_FALSE(interface_usage("no-such-interface").has_value());
}

}  // namespace
}  // namespace perigee::sys
