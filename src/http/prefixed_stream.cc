#include "http/prefixed_stream.h"

#include <algorithm>

namespace perigee::http {

std::size_t PrefixedStream::take(std::span<char> into) {
  const std::size_t size = std::min(into.size(), prefix_.size());
  std::copy_n(prefix_.begin(), size, into.begin());
  prefix_.erase(0, size);
  return size;
}

async::Task<Result<std::size_t>> PrefixedStream::read(std::span<char> into) {
  if (!prefix_.empty()) co_return take(into);
  co_return co_await inner_.read(into);
}

Result<std::optional<std::size_t>> PrefixedStream::try_read(std::span<char> into) {
  if (!prefix_.empty()) return take(into);
  return inner_.try_read(into);
}

void PrefixedStream::when_readable(async::Waiter& waiter) {
  if (prefix_.empty()) {
    inner_.when_readable(waiter);
  } else {
    waiter.schedule();
  }
}

}  // namespace perigee::http
