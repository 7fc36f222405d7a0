#include "base/random.h"

namespace perigee {

std::uint64_t Random::next() {
  state_ += 0x9e3779b97f4a7c15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::uint64_t Random::below(std::uint64_t bound) {
  return bound == 0 ? 0 : next() % bound;
}

bool Random::chance(int per_mille) {
  return static_cast<int>(below(1000)) < per_mille;
}

Duration Random::between(Duration low, Duration high) {
  if (high <= low) return low;
  return low + Duration(static_cast<std::int64_t>(
                   below(static_cast<std::uint64_t>((high - low).count()))));
}

Random Random::fork() {
  return Random(next());
}

}  // namespace perigee
