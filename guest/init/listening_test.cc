#include "init/listening.h"

#include <doctest/doctest.h>

namespace perigee::init {
namespace {

constexpr std::string_view kHeader =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n";

TEST_CASE("listening sockets are found with address, port and inode") {
  const auto found = parse_listening(
      std::string(kHeader) +
      "   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
      "4711 1 0000000000000000 100 0 0 10 0\n"
      "   1: 0200C90A:1F90 0100C90A:C350 01 00000000:00000000 00:00000000 00000000     0        0 "
      "4712 1 0000000000000000 20 4 30 10 -1\n");
  REQUIRE(found.size() == 1);
  CHECK(found[0].socket.address == std::string("\x7f\0\0\1", 4));
  CHECK(found[0].socket.port == 3000);
  CHECK(found[0].inode == 4711);
}

TEST_CASE("an IPv6 address comes in network order") {
  const auto found = parse_listening(
      "   0: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A "
      "00000000:00000000 00:00000000 00000000     0        0 99 1 0 100 0 0 10 0\n");
  REQUIRE(found.size() == 1);
  CHECK(found[0].socket.address == std::string("\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16));
}

TEST_CASE("lines that are none are left out") {
  CHECK(parse_listening("").empty());
  CHECK(parse_listening(kHeader).empty());
  CHECK(parse_listening("0: 0100007F 0:0 0A a b c d e 1").empty());
  CHECK(parse_listening("0: 0100007F:XX 0:0 0A a b c d e 1").empty());
  CHECK(parse_listening("0: 0100:0050 0:0 0A a b c d e 1").empty());
}

TEST_CASE("a descriptor's link names its socket") {
  CHECK(socket_inode("socket:[4711]") == 4711);
  CHECK(socket_inode("/dev/null") == 0);
  CHECK(socket_inode("socket:[]") == 0);
  CHECK(socket_inode("pipe:[4711]") == 0);
}

}  // namespace
}  // namespace perigee::init
