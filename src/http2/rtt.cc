#include "http2/rtt.h"

#include <algorithm>

namespace perigee::http2 {

void RttEstimator::add(Duration sample) {
  if (!known()) {
    smoothed_ = sample;
    deviation_ = sample / 2;
  } else {
    const Duration error = sample > smoothed_ ? sample - smoothed_ : smoothed_ - sample;
    deviation_ += (error - deviation_) / 4;
    smoothed_ += (sample - smoothed_) / 8;
  }
  recent_[count_++ % kSamples] = sample;
}

Duration RttEstimator::lowest() const {
  const auto end = recent_.begin() + static_cast<std::ptrdiff_t>(std::min(count_, kSamples));
  return count_ == 0 ? Duration::zero() : *std::min_element(recent_.begin(), end);
}

}  // namespace perigee::http2
