#include "monitor/guest_report.h"

#include <doctest/doctest.h>

#include <cstdint>

#include "channel/limits.h"

namespace perigee::monitor {
namespace {

TEST_CASE("addresses are shown as text, names without what a terminal would obey") {
  const channel::Listening report{{{std::string("\x7f\0\0\1", 4), 3000, "node"},
                                   {std::string(16, '\0'), 80, "a\x1b[2J\xff\""}}};
  CHECK(shown(report) ==
        std::vector<vm::ListeningSocket>{{"127.0.0.1", 3000, "node"}, {"::", 80, "a?[2J??"}});
}

TEST_CASE("a report of any guest survives JSON") {
  channel::Stats wild;
  wild.load_centi.fill(UINT32_MAX);
  wild.memory.fill(UINT64_MAX);
  wild.files_limit = UINT64_MAX;
  wild.cpus = {{"\xc3\x28", {UINT64_MAX}}};
  wild.disks = {{"v d\na", {}}};
  const channel::Stats tame = shown(wild);
  CHECK(tame.cpus[0].name == "?(");
  CHECK(tame.disks[0].name == "v?d?a");
  CHECK(tame.memory[0] == INT64_MAX);
  const auto text = vm::to_json(tame).dump();
  const auto value = json::parse(text);
  REQUIRE(value.has_value());
  const auto again = vm::stats_from(*value);
  REQUIRE(again.has_value());
  CHECK(*again == tame);
  CHECK(text.size() < 64 * 1024);  // a line of the monitor's socket
}

TEST_CASE("a guest's processes are shown as the API has them, whatever it says") {
  channel::Process process;
  process.pid = 7;
  process.started_unix_s = 1'790'000'000;
  process.age_ms = 2000;
  process.cpu_ms = 500;
  process.rss_bytes = 4096;
  process.command = "sh -c \x1b[2J\"";
  process.directory = "/a b";
  process.sockets = {{channel::Transport::kTcp, std::string("\0\0\0\0", 4), 8080},
                     {channel::Transport::kUdp, std::string(16, '\0'), 53}};
  CHECK(vm::to_json(shown(channel::Processes{{process}})).dump() ==
        R"([{"pid":7,"command":"sh -c ?[2J?","directory":"/a b","cpu":25,"rss":4096,)"
        R"("stime":1790000000,"rtime":2,"listen_sockets":[{"proto":"tcp","address":)"
        R"("0.0.0.0:8080"},{"proto":"udp","address":"[::]:53"}]}])");
}

TEST_CASE("the largest report of processes is a line of the monitor's socket") {
  channel::Process large;
  large.pid = UINT32_MAX;
  large.age_ms = 1;
  large.started_unix_s = large.cpu_ms = large.rss_bytes = UINT64_MAX;
  large.command = std::string(channel::kMaxProcessCommand, '\\');
  large.directory = std::string(channel::kMaxProcessDirectory, '\\');
  channel::Processes report;
  report.processes.assign(channel::kMaxProcesses, large);
  report.processes[0].sockets.assign(channel::kMaxProcessSockets,
                                     {channel::Transport::kTcp, std::string(16, '\xff'), 65535});
  CHECK(vm::to_json(shown(report)).dump().size() < 64 * 1024 - 100);
}

TEST_CASE("sockets survive JSON, and what is none is refused") {
  const std::vector<vm::ListeningSocket> sockets{{"::1", 80, "x"}};
  CHECK(*vm::listening_from(vm::to_json(sockets)) == sockets);
  CHECK_FALSE(vm::listening_from(json::Value("x")).has_value());
  CHECK_FALSE(vm::stats_from(json::object()).has_value());
}

}  // namespace
}  // namespace perigee::monitor
