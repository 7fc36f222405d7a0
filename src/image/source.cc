#include "image/source.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "image/limits.h"

namespace perigee::image {

CancelFlag make_cancel_flag() {
  return std::make_shared<std::atomic<bool>>(false);
}

Result<void> check_cancelled(const CancelFlag& flag) {
  if (flag && flag->load(std::memory_order_relaxed)) return fail(Code::cancelled, "stopped");
  return {};
}

FileSource::FileSource(int fd, std::string name)
    : fd_(fd), name_(std::move(name)), buffer_(kChunkBytes) {}

Result<std::string_view> FileSource::next() {
  for (;;) {
    const ssize_t n = ::read(fd_, buffer_.data(), buffer_.size());
    if (n >= 0) return std::string_view(buffer_.data(), static_cast<std::size_t>(n));
    if (errno != EINTR) return fail(errno_error(errno, "read " + name_));
  }
}

Result<std::string_view> MemorySource::next() {
  const std::string_view chunk = data_.substr(0, step_);
  data_.remove_prefix(chunk.size());
  return chunk;
}

HashedSource::HashedSource(ByteSource& from, std::uint64_t max_bytes, CancelFlag cancel)
    : from_(from), max_bytes_(max_bytes), cancel_(std::move(cancel)) {}

Result<std::string_view> HashedSource::next() {
  TRY_VOID(check_cancelled(cancel_));
  TRY(const std::string_view chunk, from_.next());
  bytes_ += chunk.size();
  if (bytes_ > max_bytes_) {
    return fail(Code::unsupported, "it unpacks to more than {} MiB, which is the limit for it",
                max_bytes_ / kMiB);
  }
  hash_.update(chunk);
  return chunk;
}

std::string HashedSource::digest() {
  return "sha256:" + hash_.hex();
}

Compression detect_compression(std::string_view first_bytes) {
  if (first_bytes.starts_with("\x1f\x8b")) return Compression::gzip;
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd")) return Compression::zstd;
  return Compression::none;
}

}  // namespace perigee::image
