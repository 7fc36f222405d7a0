#include "init/processes.h"

#include <doctest/doctest.h>

namespace perigee::init {
namespace {

TEST_CASE("a process's times and memory are found behind any name") {
  const std::string rest =
      " S 1 405 405 0 -1 4194560 100 0 0 0 130 20 0 0 20 0 1 0 250 1048576 64 0 0 0 0";
  for (const char* name : {"httpd", "a b", "x) S (y"}) {
    const auto times = parse_process_stat("405 (" + std::string(name) + ")" + rest);
    REQUIRE(times.has_value());
    CHECK(*times == ProcessTimes{.cpu_ms = 1500, .start_ms = 2500, .rss_bytes = 262144});
  }
}

TEST_CASE("a kernel's thread is told from a process, and what is neither from both") {
  const auto thread =
      parse_process_stat("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 3 0 0 20 0 1 0 1 0 0 0 0 0");
  REQUIRE(thread.has_value());
  CHECK(thread->kernel_thread);
  CHECK_FALSE(parse_process_stat("").has_value());
  CHECK_FALSE(parse_process_stat("405 httpd S 1").has_value());
  CHECK_FALSE(parse_process_stat("405 (httpd) S 1 2 3").has_value());
}

TEST_CASE("a command is its words with blanks between, and cut") {
  CHECK(parse_command_line(std::string_view("httpd\0-f\0", 9)) == "httpd -f");
  CHECK(parse_command_line(std::string_view("a\0\0", 3)) == "a");
  CHECK(parse_command_line("") == "");
  CHECK(parse_command_line(std::string(5000, 'x')).size() == 120);
}

}  // namespace
}  // namespace perigee::init
