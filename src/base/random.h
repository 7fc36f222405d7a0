// Random: a seeded sequence of numbers, the same on every machine (SplitMix64; the standard
// library's distributions differ between implementations and are not used).
#pragma once

#include <cstdint>

#include "base/time.h"

namespace perigee {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  std::uint64_t below(std::uint64_t bound);  // [0, bound); 0 for 0
  bool chance(int per_mille);
  Duration between(Duration low, Duration high);  // [low, high)
  // An independent sequence, so that one part's use of numbers does not shift another's.
  Random fork();

 private:
  std::uint64_t state_;
};

}  // namespace perigee
