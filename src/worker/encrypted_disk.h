// write_encrypted: a new volume's ext4 file system as the ciphertext that the guest's dm-crypt
// reads (docs/formats/volumes.md). mke2fs makes it in memory; what it wrote is encrypted into the
// file, the rest stays a hole: noise to the guest, which ext4 takes for a disk that was used
// before. Blocking; on a pool thread.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::worker {

// Unsynced. `plain`: a descriptor of the file system, holes where nothing was written.
Result<void> write_encrypted(int plain, const std::string& path, std::string_view key);

}  // namespace perigee::worker
