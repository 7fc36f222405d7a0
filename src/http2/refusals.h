// Why users' connections and streams were ended or refused by us, counted. Plain values, shared by
// all connections of a router.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace perigee::http2 {

enum class Refusal {
  resets,  // more than FrameLimits allow, of each of these
  errors,
  pings,
  settings,
  empty_frames,
  other_frames,
  window_updates,
  continuations,
  head_bytes,
  protocol,     // any other breach of HTTP/2, as nghttp2 sees it
  slow_head,    // or preface: it did not all come in time
  slow_reader,  // who took nothing of an answer for too long
  silence,      // no sign of life
  large_head,   // a stream's: answered 431
  malformed,    // a stream's: reset, or answered 4xx and 501
  misdirected,  // a stream's: answered 421
};
inline constexpr std::size_t kRefusals = 16;
std::string_view name(Refusal refusal);

class Refusals {
 public:
  void count(Refusal refusal) { ++counts_[static_cast<std::size_t>(refusal)]; }
  std::uint64_t of(Refusal refusal) const { return counts_[static_cast<std::size_t>(refusal)]; }

 private:
  std::array<std::uint64_t, kRefusals> counts_{};
};

}  // namespace perigee::http2
