// An encrypted volume's disk as a plain block device, by the guest kernel's dm-crypt: AES-256-XTS
// in sectors of 4096 bytes, whose tweak is the number of their first 512 bytes. The host's disk
// holds ciphertext alone (docs/decisions/0017-encrypted-volumes.md). The key goes to the kernel by
// a keyring that init empties again, so that nobody in the machine can read it back from dm-crypt.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "init/result.h"

namespace perigee::init {

// Maps all of disk number `index`; returns the plain device's path. Needs
// load_encryption_modules().
Result<std::string> map_encrypted(std::uint32_t index, std::string_view key);

}  // namespace perigee::init
