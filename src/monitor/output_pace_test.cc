#include "monitor/output_pace.h"

#include <doctest/doctest.h>

using namespace perigee;
using namespace perigee::monitor;

namespace {
constexpr MonotonicTime kStart{1'000'000'000'000};
constexpr std::size_t kMib = std::size_t{1024} * 1024;
}  // namespace

TEST_CASE("output below the pace is never held up") {
  OutputPace pace;
  for (int ms = 0; ms < 1000; ++ms) {
    REQUIRE(pace.took(10'000, kStart + ms * 1ms) == 0ms);  // some 10 MB/s
  }
}

TEST_CASE("a burst after a silence is taken at once, and what comes on top waits") {
  OutputPace pace;
  CHECK(pace.took(kMib, kStart) == 0ms);
  CHECK(pace.took(2 * kMib, kStart) > 50ms);
}

TEST_CASE("an endless writer gets the pace and no more") {
  OutputPace pace;
  MonotonicTime now = kStart;
  std::size_t taken = 0;
  while (now < kStart + 10s) {
    taken += 64 * 1024;
    now = now + pace.took(64 * 1024, now);
  }
  CHECK(taken >= 10 * kOutputBytesPerSecond);
  CHECK(taken <= 10 * kOutputBytesPerSecond + kOutputBytesPerSecond / 5);
}
