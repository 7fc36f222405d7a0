#include "sys/tsc.h"

#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace perigee::sys {
#if defined(__x86_64__)
namespace {

struct Sample {
  std::uint64_t ticks = 0;
  std::int64_t ns = 0;
};

// The reading with the least time between its two counter reads, so that a preemption does not
// count.
Sample take_sample() {
  Sample best;
  std::uint64_t best_width = ~std::uint64_t{0};
  for (int i = 0; i < 16; ++i) {
    timespec t{};
    const std::uint64_t before = __rdtsc();
    ::clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    const std::uint64_t width = __rdtsc() - before;
    if (width >= best_width) continue;
    best_width = width;
    best = {before + width / 2, t.tv_sec * 1'000'000'000 + t.tv_nsec};
  }
  return best;
}

}  // namespace

std::uint32_t measure_tsc_khz() {
  const Sample first = take_sample();
  const timespec pause{.tv_sec = 0, .tv_nsec = 50'000'000};
  ::nanosleep(&pause, nullptr);
  const Sample last = take_sample();
  const double ms = static_cast<double>(last.ns - first.ns) / 1e6;
  return static_cast<std::uint32_t>(static_cast<double>(last.ticks - first.ticks) / ms + 0.5);
}
#else
std::uint32_t measure_tsc_khz() {
  return 0;
}
#endif

}  // namespace perigee::sys
