// The text form of a sealed value: what parses is written back as it was, and opens with no ring
// that did not seal it.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "secrets/key_ring.h"

namespace {

class NoEntropy : public perigee::sys::Entropy {
 public:
  void fill(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) byte = 0;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::secrets;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto sealed = parse_sealed(text);
  if (sealed) PERIGEE_CHECK(to_text(*sealed) == text);
  NoEntropy entropy;
  const KeyRing ring = KeyRing::create(entropy, {});
  PERIGEE_CHECK(!ring.open({Kind::app_secret, "hello/NAME"}, text));
  return 0;
}
