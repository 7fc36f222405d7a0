#include "crypto/client_hello.h"

#include <doctest/doctest.h>

#include <vector>

namespace perigee::crypto {
namespace {

std::string number(std::size_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  return out;
}

std::string vector(std::string_view content, int length_bytes) {
  return number(content.size(), length_bytes) + std::string(content);
}

std::string extension(std::size_t type, std::string_view content) {
  return number(type, 2) + vector(content, 2);
}

std::string server_name(std::string_view name, char type = 0) {
  return extension(0, vector(type + vector(name, 2), 2));
}

std::string message(std::string_view extensions, char type = 1) {
  std::string body = "\x03\x03" + std::string(32, 'r') + vector(std::string(32, 's'), 1) +
                     vector("\x13\x01\x13\x02", 2) + vector(std::string(1, '\0'), 1);
  if (!extensions.empty()) body += vector(extensions, 2);
  return type + vector(body, 3);
}

// In records of at most `size` bytes each.
std::string records(std::string_view bytes, std::size_t size = 1 << 14) {
  std::string out;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, size);
    out += "\x16\x03\x01" + vector(part, 2);
    bytes.remove_prefix(part.size());
  }
  return out;
}

const std::string kGrease = extension(0x1a1a, "") + extension(0x2a2a, "\x01");

TEST_CASE("the name that a client asks for is found among other extensions") {
  const std::string hello =
      records(message(kGrease + extension(0xff01, vector("", 1)) + server_name("Web.Example.")));
  const auto parsed = parse_client_hello(hello + "what follows");
  REQUIRE(parsed.has_value());
  REQUIRE(parsed->has_value());
  CHECK((*parsed)->server_name == "web.example");
}

TEST_CASE("a message in many records is one message, and every beginning asks for more") {
  const std::string hello = records(message(kGrease + server_name("web.example")), 7);
  for (std::size_t size = 0; size < hello.size(); ++size) {
    CAPTURE(size);
    const auto part = parse_client_hello(hello.substr(0, size));
    REQUIRE(part.has_value());
    CHECK_FALSE(part->has_value());
  }
  const auto parsed = parse_client_hello(hello);
  REQUIRE(parsed.has_value());
  REQUIRE(parsed->has_value());
  CHECK((*parsed)->server_name == "web.example");
}

TEST_CASE("a client may ask for no name, and have no extensions at all") {
  for (const std::string& extensions : {std::string(), kGrease}) {
    const auto parsed = parse_client_hello(records(message(extensions)));
    REQUIRE(parsed.has_value());
    REQUIRE(parsed->has_value());
    CHECK((*parsed)->server_name.empty());
  }
}

TEST_CASE("what is no ClientHello is refused at its first bytes") {
  for (const std::string& bytes : std::vector<std::string>{
           "G", "\x15", "\x16\x02", std::string("\x16\x03\x01\x00\x00", 5), records(message("", 2)),
           records(message(server_name("a") + server_name("b"))),
           records(message(server_name("a", 1))), records(message(server_name(""))),
           records(message(server_name("a b"))),
           records(message(server_name(std::string_view("a\0b", 3)))),
           records(message(server_name(std::string(256, 'a')))),
           records(message(extension(0, "\x01"))), records(message("xyz")),
           "\x16\x03\x01" + number((1 << 14) + 1, 2),
           records(std::string("\x01\xff\xff\xff", 4))}) {
    CAPTURE(bytes);
    CHECK_FALSE(parse_client_hello(bytes).has_value());
  }
}

TEST_CASE("a ClientHello that has no end is given up at its bound") {
  const std::string long_one = records(message(extension(0x1a1a, std::string(20'000, 'x'))));
  CHECK_FALSE(parse_client_hello(long_one).has_value());
  const std::string large =
      records(message(extension(0x1a1a, std::string(15'000, 'x')) + server_name("web.example")));
  const auto parsed = parse_client_hello(large);
  REQUIRE(parsed.has_value());
  REQUIRE(parsed->has_value());
  CHECK((*parsed)->server_name == "web.example");
  const std::string slow = records(message(extension(0x1a1a, std::string(16'000, 'x'))), 1);
  CHECK_FALSE(parse_client_hello(slow).has_value());
}

}  // namespace
}  // namespace perigee::crypto
