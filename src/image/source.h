// ByteSource: bytes in order, pulled in chunks, blocking. A layer's way is a chain of them: file →
// decompressed → hashed → tar reader. Runs on a pool thread (or, later, in a process without
// privileges): nothing here knows a loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "crypto/hash.h"

namespace perigee::image {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next bytes, valid until the next call; empty at the end.
  virtual Result<std::string_view> next() = 0;
};

// Set by whoever no longer wants the result; long work looks at it between chunks.
using CancelFlag = std::shared_ptr<std::atomic<bool>>;
CancelFlag make_cancel_flag();
Result<void> check_cancelled(const CancelFlag& flag);  // an unset flag never cancels

// A member of a coroutine's frame: work that it gave away stops when the coroutine goes away.
class CancelOnExit {
 public:
  CancelOnExit() : flag_(make_cancel_flag()) {}
  ~CancelOnExit() { *flag_ = true; }
  CancelOnExit(const CancelOnExit&) = delete;
  CancelOnExit& operator=(const CancelOnExit&) = delete;
  const CancelFlag& flag() const { return flag_; }

 private:
  CancelFlag flag_;
};

// A descriptor from its current position; owned by the caller.
class FileSource : public ByteSource {
 public:
  FileSource(int fd, std::string name);
  Result<std::string_view> next() override;

 private:
  int fd_;
  std::string name_;
  std::vector<char> buffer_;
};

// A text in memory, in chunks of at most `step`.
class MemorySource : public ByteSource {
 public:
  MemorySource(std::string_view data, std::size_t step) : data_(data), step_(step) {}
  Result<std::string_view> next() override;

 private:
  std::string_view data_;
  std::size_t step_;
};

// Passes on what it reads, counts and hashes it; refuses more than `max_bytes`.
class HashedSource : public ByteSource {
 public:
  HashedSource(ByteSource& from, std::uint64_t max_bytes, CancelFlag cancel);
  Result<std::string_view> next() override;
  std::uint64_t bytes() const { return bytes_; }
  std::string digest();  // "sha256:…" of what has passed; once

 private:
  ByteSource& from_;
  std::uint64_t max_bytes_;
  std::uint64_t bytes_ = 0;
  CancelFlag cancel_;
  crypto::Sha256 hash_;
};

enum class Compression { none, gzip, zstd };
Compression detect_compression(std::string_view first_bytes);

// `from` inflated where it is gzip (any number of members) or zstd, by its first bytes; as it is
// where it is neither. `from` must outlive the result.
Result<std::unique_ptr<ByteSource>> decompressed(ByteSource& from);

}  // namespace perigee::image
