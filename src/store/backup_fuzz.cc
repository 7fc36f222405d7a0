// Fuzz target: a backup is refused, or comes back the same when it is written again. The checksum
// is made to fit first: it would keep the input from everything behind it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>

#include "base/check.h"
#include "crypto/hash.h"
#include "store/backup.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  std::ignore = perigee::store::parse_backup(text);
  text += "{\"sha256\":\"" + perigee::crypto::sha256_hex(text) + "\"}\n";
  const auto read = perigee::store::parse_backup(text);
  if (!read) return 0;
  const auto again = perigee::store::parse_backup(perigee::store::encode_backup(*read));
  PERIGEE_CHECK(again && again->entries == read->entries && again->revision == read->revision);
  return 0;
}
