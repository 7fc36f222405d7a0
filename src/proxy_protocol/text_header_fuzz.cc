// Any bytes as a PROXY header of either version: refused, incomplete, or of version 1 written out
// again and read as the same.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "proxy_protocol/text_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::proxy_protocol;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto decoded = decode_any(bytes);
  if (!decoded || !*decoded) return 0;
  PERIGEE_CHECK((*decoded)->size <= bytes.size());
  for (std::size_t cut = 0; cut < (*decoded)->size; ++cut) {
    const auto part = decode_any(bytes.substr(0, cut));
    PERIGEE_CHECK(part.has_value() && !part->has_value());
  }
  if (!bytes.starts_with('P')) return 0;
  const auto again = encode_text((*decoded)->header);
  PERIGEE_CHECK(again.has_value());
  const auto back = decode_text(*again);
  PERIGEE_CHECK(back && *back && (*back)->header == (*decoded)->header);
  return 0;
}
