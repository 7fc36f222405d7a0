// ByteQueue: bytes in at the back, out at the front, in one buffer that is moved together now and
// then. Value type; its owner bounds it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace perigee::http2 {

class ByteQueue {
 public:
  std::size_t size() const { return buffer_.size() - start_; }
  bool empty() const { return size() == 0; }
  std::string_view front(std::size_t max) const {
    return std::string_view(buffer_).substr(start_, max);
  }
  void append(std::string_view bytes) { buffer_ += bytes; }
  void consume(std::size_t count) {
    start_ += count;
    if (start_ == buffer_.size()) {
      clear();
    } else if (start_ > buffer_.size() / 2) {
      buffer_.erase(0, start_);
      start_ = 0;
    }
  }
  std::size_t read(std::span<char> into) {
    const std::string_view bytes = front(into.size());
    std::ranges::copy(bytes, into.begin());
    const std::size_t count = bytes.size();
    consume(count);
    return count;
  }

 private:
  // A buffer that a burst has made large is given back.
  void clear() {
    constexpr std::size_t kKept = 64 * 1024;
    if (buffer_.capacity() > kKept) std::string().swap(buffer_);
    buffer_.clear();
    start_ = 0;
  }
  std::string buffer_;
  std::size_t start_ = 0;
};

}  // namespace perigee::http2
