// The key ring's file: what parses is written back to the same ring, which seals and opens.
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
  const auto ring = KeyRing::parse({reinterpret_cast<const char*>(data), size});
  if (!ring) return 0;
  const auto again = KeyRing::parse(ring->text());
  PERIGEE_CHECK(again && *again == *ring);
  NoEntropy entropy;
  const Place place{Kind::volume_key, "vol_1"};
  const auto sealed = ring->seal(place, "value", entropy);
  PERIGEE_CHECK(sealed && *ring->open(place, *sealed) == "value");
  return 0;
}
