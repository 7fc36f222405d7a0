#include "crypto/xts.h"

#include <doctest/doctest.h>

namespace perigee::crypto {
namespace {

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

// IEEE 1619-2007, annex B, vectors 10 and 11: a unit of 512 bytes that count up.
const std::string kKey = from_hex(
    "2718281828459045235360287471352662497757247093699959574966967627"
    "3141592653589793238462643383279502884197169399375105820974944592");

std::string counting_bytes() {
  std::string out;
  for (int i = 0; i < 512; ++i) out.push_back(static_cast<char>(i & 0xff));
  return out;
}

TEST_CASE("XTS gives the standard's ciphertext, and another one for each unit's number") {
  CHECK(xts_encrypt(kKey, 0xff, counting_bytes())
            ->starts_with(from_hex("1c3b3a102f770386e4836c99e3"
                                   "70cf9bea00803f5e482357a4"
                                   "ae12d414a3e63b")));
  CHECK(xts_encrypt(kKey, 0xffff, counting_bytes())
            ->starts_with(
                from_hex("77a31251618a15e6b92d1d66dffe7b50b50bad552305ba0217a610688eff7e11")));
  CHECK(*xts_encrypt(kKey, 1, counting_bytes()) != *xts_encrypt(kKey, 2, counting_bytes()));
}

TEST_CASE("XTS refuses a key whose halves are the same") {
  CHECK_FALSE(
      xts_encrypt(kKey.substr(0, 32) + kKey.substr(0, 32), 1, counting_bytes()).has_value());
}

}  // namespace
}  // namespace perigee::crypto
