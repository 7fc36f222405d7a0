// Any bytes as a TLS ClientHello: refused, incomplete, or a name; and what came in two parts is
// judged as what came in one.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "crypto/client_hello.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::crypto;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto hello = parse_client_hello(bytes);
  if (!hello) return 0;
  if (size >= kMaxClientHello) PERIGEE_CHECK(hello->has_value());
  for (std::size_t cut = 0; cut < size; ++cut) {
    const auto part = parse_client_hello(bytes.substr(0, cut));
    PERIGEE_CHECK(part.has_value());
    if (*part) PERIGEE_CHECK(*part == *hello);
  }
  return 0;
}
