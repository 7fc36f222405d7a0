#include "sim/trace.h"

#include <fmt/format.h>

#include <array>
#include <bit>

namespace perigee::sim {

void Trace::mix(std::string_view bytes) {
  for (const char c : bytes) {
    hash_ ^= static_cast<unsigned char>(c);
    hash_ *= 0x100000001b3;
  }
}

void Trace::note(MonotonicTime at, std::string_view kind, std::string_view detail) {
  ++events_;
  const auto time = std::bit_cast<std::array<char, sizeof at.ns>>(at.ns);
  mix({time.data(), time.size()});
  mix(kind);
  mix({"\0", 1});
  mix(detail);
  if (keep_ == 0) return;
  if (lines_.size() == keep_) lines_.pop_front();
  constexpr std::size_t kMaxDetail = 120;
  lines_.push_back(fmt::format("{:>12.6f} {} {}", static_cast<double>(at.ns) / 1e9, kind,
                               detail.substr(0, kMaxDetail)));
}

std::string Trace::text() const {
  return fmt::format("{}", fmt::join(lines_, "\n"));
}

}  // namespace perigee::sim
