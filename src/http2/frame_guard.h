// FrameGuard: reads the frame heads of what a user sends, before anybody acts on them, and says
// when there is more of something than a connection may cost (RFC 9113 section 10.5). Pure: bytes
// and the time in, a verdict out; frames may be cut anywhere.
//
//   if (const auto excess = guard.see(bytes, now)) …    // GOAWAY, ENHANCE_YOUR_CALM
//
// It does not judge whether frames are right: nghttp2 does.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "http2/limits.h"
#include "http2/refusals.h"

namespace perigee::http2 {

// A bucket of a Rate: true while there is something left.
class Allowance {
 public:
  Allowance(Rate rate, MonotonicTime now) : rate_(rate), left_(rate.burst), since_(now) {}
  bool take(MonotonicTime now);
  void give(std::uint32_t more) { left_ = std::min(left_ + more, rate_.burst); }

 private:
  Rate rate_;
  std::uint32_t left_;
  MonotonicTime since_;
};

class FrameGuard {
 public:
  FrameGuard(const FrameLimits& limits, MonotonicTime now);

  std::optional<Refusal> see(std::string_view bytes, MonotonicTime now);
  // We reset a stream for a mistake of the peer.
  std::optional<Refusal> error_made(MonotonicTime now);
  // We refused a stream, since the peer has as many as it may have.
  std::optional<Refusal> stream_refused(MonotonicTime now);
  // What makes up for some of it: a DATA frame of ours, which clients answer by window updates and
  // measure the path by; a request that got its answer.
  void data_sent();
  void answered() { resets_.give(1); }
  // When the preface or the head that has not all arrived began; nullopt: none is waited for.
  std::optional<MonotonicTime> waiting_since() const;

 private:
  static constexpr std::size_t kFrameHead = 9;
  struct Head {
    std::uint32_t length = 0;
    std::uint8_t type = 0;
    std::uint8_t flags = 0;
  };
  Head parse() const;
  std::optional<Refusal> begin(const Head& head, MonotonicTime now);
  std::optional<Refusal> begin_headers(const Head& head, MonotonicTime now);
  std::optional<Refusal> count(Allowance& allowance, Refusal refusal, MonotonicTime now);
  void end_payload();

  FrameLimits limits_;
  Allowance resets_;
  Allowance errors_;
  Allowance refused_;
  Allowance pings_;
  Allowance settings_;
  Allowance empty_;
  Allowance others_;
  Allowance window_updates_;

  std::size_t preface_left_;
  std::array<char, kFrameHead> head_{};
  std::size_t head_size_ = 0;
  std::uint32_t payload_left_ = 0;
  bool last_of_head_ = false;  // the frame that is arriving ends a head
  std::optional<MonotonicTime> waiting_since_;
  std::uint32_t continuations_ = 0;
  std::uint32_t head_bytes_ = 0;
};

}  // namespace perigee::http2
