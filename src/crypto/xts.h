// AES-256-XTS (IEEE 1619), the cipher of encrypted disks, as dm-crypt reads and writes them: each
// unit of a disk is encrypted by itself, with its number as the tweak. It hides what is stored; it
// does not show whether somebody has changed it. Plain functions over bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::crypto {

inline constexpr std::size_t kXtsKeyBytes = 64;  // two AES keys, which must differ

// One unit (16 bytes to 16 MiB), as long as `plain`.
Result<std::string> xts_encrypt(std::string_view key, std::uint64_t number, std::string_view plain);

}  // namespace perigee::crypto
