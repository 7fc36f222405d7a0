#include "http2/refusals.h"

namespace perigee::http2 {

std::string_view name(Refusal refusal) {
  constexpr std::array<std::string_view, kRefusals> kNames{
      "resets",         "errors",        "pings",      "settings",   "empty_frames", "other_frames",
      "window_updates", "continuations", "head_bytes", "protocol",   "slow_head",    "slow_reader",
      "silence",        "large_head",    "malformed",  "misdirected"};
  return kNames[static_cast<std::size_t>(refusal)];
}

}  // namespace perigee::http2
