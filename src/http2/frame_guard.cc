#include "http2/frame_guard.h"

#include <utility>

namespace perigee::http2 {
namespace {

constexpr std::size_t kPrefaceSize = 24;  // RFC 9113 section 3.4

// Sections 6 and 4.1.
enum FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
constexpr std::uint8_t kAck = 0x1;
constexpr std::uint8_t kEndStream = 0x1;
constexpr std::uint8_t kEndHeaders = 0x4;

}  // namespace

bool Allowance::take(MonotonicTime now) {
  const auto earned = static_cast<std::uint64_t>(to_seconds(now - since_) * rate_.per_second);
  if (earned > 0) {
    left_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(left_ + earned, rate_.burst));
    since_ = now;
  }
  if (left_ == 0) return false;
  --left_;
  return true;
}

FrameGuard::FrameGuard(const FrameLimits& limits, MonotonicTime now)
    : limits_(limits),
      resets_(limits.resets, now),
      errors_(limits.errors, now),
      refused_(limits.refused, now),
      pings_(limits.pings, now),
      settings_(limits.settings, now),
      empty_(limits.empty, now),
      others_(limits.others, now),
      window_updates_(limits.window_updates, now),
      preface_left_(kPrefaceSize),
      waiting_since_(now) {}

std::optional<Refusal> FrameGuard::see(std::string_view bytes, MonotonicTime now) {
  const std::size_t preface = std::min(preface_left_, bytes.size());
  bytes.remove_prefix(preface);
  preface_left_ -= preface;
  if (preface > 0 && preface_left_ == 0) waiting_since_.reset();
  while (!bytes.empty()) {
    if (payload_left_ > 0) {
      const std::size_t part = std::min<std::size_t>(payload_left_, bytes.size());
      bytes.remove_prefix(part);
      payload_left_ -= static_cast<std::uint32_t>(part);
      if (payload_left_ == 0) end_payload();
      continue;
    }
    const std::size_t part = std::min(kFrameHead - head_size_, bytes.size());
    std::ranges::copy(bytes.substr(0, part),
                      head_.begin() + static_cast<std::ptrdiff_t>(head_size_));
    bytes.remove_prefix(part);
    head_size_ += part;
    if (head_size_ < kFrameHead) continue;
    head_size_ = 0;
    const Head head = parse();
    if (const auto excess = begin(head, now)) return excess;
    payload_left_ = head.length;
    if (payload_left_ == 0) end_payload();
  }
  return std::nullopt;
}

FrameGuard::Head FrameGuard::parse() const {
  const auto byte = [this](std::size_t i) { return static_cast<std::uint8_t>(head_[i]); };
  return {.length = static_cast<std::uint32_t>(byte(0) << 16 | byte(1) << 8 | byte(2)),
          .type = byte(3),
          .flags = byte(4)};
}

std::optional<Refusal> FrameGuard::begin(const Head& head, MonotonicTime now) {
  switch (head.type) {
    case kData:
      if (head.length > 0 || (head.flags & kEndStream) != 0) return std::nullopt;
      return count(empty_, Refusal::empty_frames, now);
    case kHeaders:
      continuations_ = 0;
      head_bytes_ = 0;
      return begin_headers(head, now);
    case kContinuation:
      if (++continuations_ > limits_.continuations) return Refusal::continuations;
      return begin_headers(head, now);
    case kReset:
      return count(resets_, Refusal::resets, now);
    case kSettings:
      if ((head.flags & kAck) != 0) return std::nullopt;
      return count(settings_, Refusal::settings, now);
    case kPing:
      return count(pings_, Refusal::pings, now);
    case kWindowUpdate:
      return count(window_updates_, Refusal::window_updates, now);
    case kGoaway:
      return std::nullopt;
    default:
      return count(others_, Refusal::other_frames, now);
  }
}

std::optional<Refusal> FrameGuard::begin_headers(const Head& head, MonotonicTime now) {
  if (!waiting_since_) waiting_since_ = now;
  last_of_head_ = (head.flags & kEndHeaders) != 0;
  head_bytes_ += std::min(head.length, limits_.head_bytes);
  if (head_bytes_ > limits_.head_bytes) return Refusal::head_bytes;
  if (head.length > 0 || last_of_head_) return std::nullopt;
  return count(empty_, Refusal::empty_frames, now);
}

std::optional<Refusal> FrameGuard::count(Allowance& allowance, Refusal refusal, MonotonicTime now) {
  return allowance.take(now) ? std::nullopt : std::optional(refusal);
}

void FrameGuard::end_payload() {
  if (std::exchange(last_of_head_, false)) waiting_since_.reset();
}

void FrameGuard::data_sent() {
  window_updates_.give(limits_.window_updates_per_data);
  pings_.give(1);
}

std::optional<Refusal> FrameGuard::error_made(MonotonicTime now) {
  return count(errors_, Refusal::errors, now);
}

std::optional<Refusal> FrameGuard::stream_refused(MonotonicTime now) {
  return count(refused_, Refusal::errors, now);
}

std::optional<MonotonicTime> FrameGuard::waiting_since() const {
  return waiting_since_;
}

}  // namespace perigee::http2
