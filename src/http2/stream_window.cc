#include "http2/stream_window.h"

#include <algorithm>

namespace perigee::http2 {

bool StreamWindow::taken(std::size_t bytes, MonotonicTime now, Duration rtt, Pressure pressure) {
  taken_ += bytes;
  if (taken_ < size_) return false;
  const bool kept_up = now - since_ <= 2 * rtt;
  taken_ = 0;
  since_ = now;
  const std::uint32_t most = pressure == Pressure::pressed ? first_ : max_;
  if (!kept_up || size_ >= most) return false;
  size_ = std::min(size_ * 2, most);
  return true;
}

void StreamWindow::press(MonotonicTime now) {
  size_ = least_;
  taken_ = 0;
  since_ = now;
}

}  // namespace perigee::http2
