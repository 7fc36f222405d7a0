// OutputPace: how fast a VM's output is taken. What an app writes costs its node, not the app: the
// monitor cuts it into lines and puts them on file outside of the VM's own bounds. So it is taken
// at a pace that is above what people log, and below what an endless loop can write; beyond it the
// guest's pipe is full and the app waits in its write(2).
//
//   const Duration pause = pace.took(bytes_on_file, host.loop.now());   // read nothing meanwhile
//
// Pure.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/time.h"

namespace perigee::monitor {

// Bytes of the log, which also count what is put before each line. 100,000 lines a second, each of
// 100 bytes, are 14 MiB/s.
inline constexpr std::size_t kOutputBytesPerSecond = std::size_t{16} * 1024 * 1024;
inline constexpr Duration kOutputBurst = 100ms;  // of that pace, after a time of less

class OutputPace {
 public:
  // `bytes` more are on file. How long to wait before more is taken.
  Duration took(std::size_t bytes, MonotonicTime now) {
    constexpr auto kSecond = std::chrono::nanoseconds(1s).count();
    const auto cost = static_cast<std::int64_t>(bytes) * kSecond /
                      static_cast<std::int64_t>(kOutputBytesPerSecond);
    paid_until_ = std::max(paid_until_, now + -kOutputBurst) + Duration(cost);
    return std::max(Duration(0), paid_until_ - now);
  }

 private:
  MonotonicTime paid_until_ = {};
};

}  // namespace perigee::monitor
