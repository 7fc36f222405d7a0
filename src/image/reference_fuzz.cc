// Fuzz target: a reference that parses prints as one that parses to the same, and holds nothing
// that would change the meaning of a URL.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "image/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::image;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto reference = parse_reference(text);
  if (!reference) return 0;
  const auto again = parse_reference(reference->str());
  if (!again || *again != *reference) std::abort();
  const bool clean = std::ranges::all_of(reference->str(), [](char c) {
    return c > ' ' && c <= '~' && c != '?' && c != '#' && c != '%' && c != '\\';
  });
  if (!clean || reference->repository.find("..") != std::string::npos) std::abort();
  return 0;
}
