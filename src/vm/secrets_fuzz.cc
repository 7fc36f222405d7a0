// What a monitor reads from its standard input: secrets that parse are written the same way again.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "vm/spec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto secrets = perigee::vm::secrets_from(input);
  if (secrets) PERIGEE_CHECK(perigee::vm::secrets_input(*secrets) == input);
  return 0;
}
