// RttEstimator: what pings say about a path. Pure.
//
// `smoothed` is RFC 6298's average (an eighth of each new sample), which a queue on the way moves;
// `lowest` is the least of the last kSamples, the path itself. Paths are compared by `lowest`,
// time-outs follow `smoothed` and `deviation`.
#pragma once

#include <array>
#include <cstddef>

#include "base/time.h"

namespace perigee::http2 {

class RttEstimator {
 public:
  static constexpr std::size_t kSamples = 20;

  void add(Duration sample);
  bool known() const { return count_ > 0; }
  Duration smoothed() const { return smoothed_; }
  Duration deviation() const { return deviation_; }
  Duration lowest() const;

 private:
  Duration smoothed_{};
  Duration deviation_{};
  std::array<Duration, kSamples> recent_{};
  std::size_t count_ = 0;  // of all samples
};

}  // namespace perigee::http2
