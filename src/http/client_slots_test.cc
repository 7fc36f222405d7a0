#include "http/client_slots.h"

#include <doctest/doctest.h>

#include <vector>

namespace perigee::http {
namespace {

sys::Address from(std::string_view host) {
  return *sys::Address::ip(host, 1234);
}

TEST_CASE("a client has as many as it may, and gives them back") {
  ClientSlots slots(2, Loopback::exempt);
  {
    const auto one = slots.take(from("203.0.113.7"));
    auto two = slots.take(from("203.0.113.7"));
    CHECK(one);
    CHECK(two);
    CHECK_FALSE(slots.take(from("203.0.113.7")));
    CHECK(slots.take(from("203.0.113.8")));
    const auto moved = std::move(two);
    CHECK_FALSE(slots.take(from("203.0.113.7")));
  }
  CHECK(slots.clients() == 0);
  CHECK(slots.take(from("203.0.113.7")));
}

TEST_CASE("in IPv6 a network of 64 bits is one client") {
  const auto network = [](std::string_view host) { return client_network(from(host)); };
  CHECK(network("2001:db8:1:2:3:4:5:6") == network("2001:db8:1:2::1"));
  CHECK(network("2001:db8:1:2::1") != network("2001:db8:1:3::1"));
  CHECK(network("203.0.113.7") != network("203.0.113.8"));
  CHECK(network("0.0.0.7") != network("::"));
  ClientSlots slots(1, Loopback::exempt);
  const auto one = slots.take(from("2001:db8:1:2::1"));
  CHECK_FALSE(slots.take(from("2001:db8:1:2:ffff::1")));
  CHECK(slots.take(from("2001:db8:1:3::1")));
}

TEST_CASE("programs of this machine count where that is asked for") {
  ClientSlots exempt(1, Loopback::exempt);
  ClientSlots counted(1, Loopback::counted);
  ClientSlots unbounded(0, Loopback::counted);
  std::vector<ClientSlots::Slot> held;
  for (ClientSlots* each : {&exempt, &counted, &unbounded}) {
    held.push_back(each->take(from("127.0.0.1")));
    CHECK(held.back());
  }
  CHECK(exempt.take(from("127.0.0.1")));
  CHECK_FALSE(counted.take(from("127.0.0.1")));
  CHECK(unbounded.take(from("127.0.0.1")));
}

}  // namespace
}  // namespace perigee::http
