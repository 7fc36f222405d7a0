// `secrets import`: whatever comes, names are not empty and hold no '='.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "cli/dotenv.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = perigee::cli::parse_dotenv({reinterpret_cast<const char*>(data), size});
  if (!parsed) return 0;
  for (const auto& [name, value] : *parsed) {
    PERIGEE_CHECK(!name.empty() && name.find('=') == name.npos);
    PERIGEE_CHECK(value.find('\n') == value.npos);
  }
  return 0;
}
