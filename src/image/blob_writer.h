// BlobWriter: the blocking half of BlobStore: streams bytes into a file without a name, hashes them
// on the way, and gives the file its digest as its name when it is whole and right. Private to the
// image module; runs on pool threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/hash.h"
#include "image/temp_file.h"

namespace perigee::image {

struct Blob {
  std::string digest;
  std::uint64_t size = 0;
  bool is_new = false;  // was not in the store before
};

class BlobWriter {
 public:
  // `expected`: the digest it must have; empty: whatever it has.
  static Result<std::unique_ptr<BlobWriter>> create(const std::string& directory,
                                                    std::string expected);
  Result<void> write(std::string_view data);
  Result<Blob> commit();  // data_loss where the digest differs; nothing is kept then
  std::uint64_t size() const { return size_; }

 private:
  BlobWriter(TempFile file, std::string expected);
  TempFile file_;
  std::string expected_;
  crypto::Sha256 hash_;
  std::uint64_t size_ = 0;
};

// Where the blob `digest` (valid) is in a store's directory.
std::string blob_path(std::string_view directory, std::string_view digest);
bool has_blob(std::string_view directory, std::string_view digest);
// The whole blob, verified; resource_exhausted above `max` bytes, not_found where it is not there.
Result<std::string> read_blob(std::string_view directory, std::string_view digest, std::size_t max);
Result<Blob> write_blob(const std::string& directory, std::string_view data);

}  // namespace perigee::image
