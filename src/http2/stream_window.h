// StreamWindow: how many bytes a peer may send on one stream ahead of its reader. Pure.
//
// Doubles where the reader took a whole window within two round trips: then the window, not the
// reader, was what held the stream back. Up to the first window while the connection is pressed
// (see limits.h).
#pragma once

#include <cstdint>

#include "base/time.h"
#include "http2/limits.h"

namespace perigee::http2 {

enum class Pressure { none, pressed };

class StreamWindow {
 public:
  StreamWindow(MonotonicTime now, std::uint32_t size, const Limits& limits)
      : least_(limits.least_window),
        first_(limits.first_window),
        max_(limits.max_window),
        size_(size),
        since_(now) {}

  std::uint32_t size() const { return size_; }
  // The reader took `bytes`. True: the window is larger now.
  bool taken(std::size_t bytes, MonotonicTime now, Duration rtt, Pressure pressure);
  // Back to the size for streams whose readers are slow.
  void press(MonotonicTime now);

 private:
  std::uint32_t least_;
  std::uint32_t first_;
  std::uint32_t max_;
  std::uint32_t size_;
  std::size_t taken_ = 0;  // since `since_`
  MonotonicTime since_;
};

}  // namespace perigee::http2
