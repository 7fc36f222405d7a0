#include <doctest/doctest.h>

#include <string>

#include "crypto/x25519.h"

using namespace perigee;
using namespace perigee::crypto;

TEST_CASE("an X25519 public key is that of RFC 7748, section 6.1") {
  const std::string alice =
      "\x77\x07\x6d\x0a\x73\x18\xa5\x7d\x3c\x16\xc1\x72\x51\xb2\x66\x45"
      "\xdf\x4c\x2f\x87\xeb\xc0\x99\x2a\xb1\x77\xfb\xa5\x1d\xb9\x2c\x2a";
  const std::string expected =
      "\x85\x20\xf0\x09\x89\x30\xa7\x54\x74\x8b\x7d\xdc\xb4\x3e\xf7\x5a"
      "\x0d\xbf\x3a\x0d\x26\x38\x1a\xf4\xeb\xa4\xa9\x8e\xaa\x9b\x4e\x6a";
  CHECK(x25519_public_key(alice).value() == expected);
  CHECK(x25519_public_key("short").error().code == Code::invalid_argument);
}
