#include <doctest/doctest.h>
#include <sched.h>
#include <unistd.h>

#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include "sys/netlink.h"
#include "sys/procfs.h"
#include "sys/tap.h"
#include "sys/tsc.h"

using namespace perigee;
using namespace perigee::sys;

namespace {

// Runs `check` on a thread in a network namespace of its own. False: that can't be had here.
template <typename F>
bool in_own_network(F check) {
  bool possible = false;
  std::thread thread([&] {
    possible = ::geteuid() == 0 && ::unshare(CLONE_NEWNET) == 0;
    if (possible) check();
  });
  thread.join();
  if (!possible) MESSAGE("SKIPPED: no network namespace can be made here (needs root)");
  return possible;
}

std::string own_routes() {
  std::ifstream file("/proc/thread-self/net/route");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string own_neighbours() {
  std::ifstream file("/proc/thread-self/net/arp");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a tap is there while its descriptor is, with address, route and neighbour") {
  in_own_network([] {
    auto netlink = Netlink::open();
    REQUIRE(netlink.has_value());
    CHECK(netlink->links("pg-").value().empty());
    const TapSettings settings{.name = "pg-0123456789ab",
                               .mtu = 1400,
                               .host_address = "10.201.0.1",
                               .guest_address = "10.201.0.2",
                               .guest_mac = "02:00:00:00:00:02"};
    auto tap = open_tap(settings.name);
    if (!tap) {
      MESSAGE("SKIPPED: " << tap.error().context);
      return;
    }
    const auto set_up = set_up_tap(settings);
    INFO((set_up ? std::string() : set_up.error().context));
    REQUIRE(set_up.has_value());
    REQUIRE(set_up_tap(settings).has_value());  // again changes nothing
    CHECK(open_tap(settings.name).error().code == Code::conflict);
    REQUIRE(netlink->links("pg-")->size() == 1);
    CHECK(netlink->links("pg-")->front().name == settings.name);
    CHECK(netlink->links("other-")->empty());
    CHECK(own_routes().find("0200C90A") != std::string::npos);  // 10.201.0.2
    CHECK(own_neighbours().find("02:00:00:00:00:02") != std::string::npos);

    tap->reset();
    CHECK(netlink->links("pg-")->empty());
    CHECK(netlink->link_index(settings.name).error().code == Code::not_found);
    CHECK(netlink->delete_link(settings.name).has_value());
  });
}

TEST_CASE("what stands on a link is listed and taken away again") {
  in_own_network([] {
    auto netlink = Netlink::open();
    REQUIRE(netlink.has_value());
    REQUIRE(netlink->create_link("br-test", "bridge").has_value());
    CHECK(netlink->create_link("br-test", "bridge").has_value());  // it is there
    CHECK(netlink->create_link("x-test", "no-such-kind").error().code == Code::unsupported);
    const int index = netlink->link_index("br-test").value();
    REQUIRE(netlink->add_address(index, "fd00:5::1", 128).has_value());
    REQUIRE(netlink->set_up(index, 1420).has_value());
    REQUIRE(netlink->add_route(index, "fd00:5::", 48, "fd00:5::1").has_value());
    CHECK(netlink->addresses(index).value() == std::vector<LinkNetwork>{{"fd00:5::1", 128}});
    CHECK(netlink->routes(index).value() == std::vector<LinkNetwork>{{"fd00:5::", 48}});
    CHECK(netlink->remove_route(index, "fd00:5::", 48).has_value());
    CHECK(netlink->remove_address(index, "fd00:5::1", 128).has_value());
    CHECK(netlink->addresses(index)->empty());
    CHECK(netlink->routes(index)->empty());
    CHECK_FALSE(netlink->remove_address(index, "fd00:5::1", 128).has_value());
  });
}

TEST_CASE("a netlink message is padded, nested and read back") {
  NetlinkMessage message(7, 0, std::uint32_t{0x01020304});
  message.add_text(1, "ab");
  const std::size_t nested = message.begin_nested(2);
  message.add(3, std::uint8_t{9});
  message.end_nested(nested);
  const std::string bytes = message.finish(1, 5);
  CHECK(bytes.size() == 16 + 4 + 8 + 4 + 8);
  CHECK(bytes[0] == 40);  // its length
  std::vector<std::pair<unsigned, std::string>> seen;
  for_each_attribute(skip(bytes, 20), [&](unsigned type, std::string_view value) {
    seen.emplace_back(type, value);
  });
  REQUIRE(seen.size() == 2);
  CHECK(seen[0] == std::pair{1U, std::string("ab\0", 3)});
  CHECK(seen[1].first == 2);
  CHECK(seen[1].second.size() == 8);
  for_each_attribute(std::string("\x03\0\1\0", 4), [&](unsigned, std::string_view) {
    FAIL("an attribute shorter than its header was taken");
  });
}

TEST_CASE("a family of generic netlink has a number, or is not there") {
  CHECK(GenericNetlink::open("nlctrl")->family() == 16);
  CHECK(GenericNetlink::open("no-such-family").error().code == Code::unsupported);
}

TEST_CASE("what rtnetlink or its caller gets wrong is an error with its name") {
  in_own_network([] {
    auto netlink = Netlink::open();
    REQUIRE(netlink.has_value());
    CHECK(netlink->add_address(1, "10.0.0.300", 32).error().context.find("10.0.0.300") !=
          std::string::npos);
    CHECK(netlink->add_neighbour(1, "10.0.0.1", "02:00:00:00:00").error().code ==
          Code::invalid_argument);
    CHECK(netlink->add_neighbour(1, "10.0.0.1", "02:00:00:00:00:02x").error().code ==
          Code::invalid_argument);
    CHECK_FALSE(netlink->add_route(4711, "10.0.0.1", 32, "").has_value());
    CHECK(open_tap("a-name-that-is-too-long").error().code == Code::invalid_argument);
    CHECK(open_tap("").error().code == Code::invalid_argument);
  });
}

TEST_CASE("a process is recognised by its start") {
  const auto ours = process_start_ticks(::getpid());
  REQUIRE(ours.has_value());
  CHECK(process_start_ticks(::getpid()) == *ours);
  CHECK(process_start_ticks(1 << 29).error().code == Code::not_found);
  CHECK(host_boot_id()->size() == 36);
  CHECK(find_process_by_argument("no process has this argument").error().code == Code::not_found);
}

#if defined(__x86_64__)
TEST_CASE("the time-stamp counter's rate is measured alike twice") {
  const double first = measure_tsc_khz();
  const double second = measure_tsc_khz();
  CHECK(first > 100'000);
  CHECK(second / first == doctest::Approx(1.0).epsilon(0.001));
}
#endif
