#include "lab/pcap.h"

#include <cstdint>

namespace perigee::lab {
namespace {

constexpr std::uint32_t kMagicNanoseconds = 0xa1b23c4d;
constexpr std::uint16_t kMajor = 2;
constexpr std::uint16_t kMinor = 4;
constexpr std::uint32_t kSnapLength = 262'144;
constexpr std::uint32_t kEthernet = 1;
constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

// Little-endian; the magic number tells readers so.
template <typename T>
void append(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i)));
  }
}

}  // namespace

std::string pcap_header() {
  std::string out;
  append(out, kMagicNanoseconds);
  append(out, kMajor);
  append(out, kMinor);
  append(out, std::uint32_t{0});  // time zone: UTC
  append(out, std::uint32_t{0});  // accuracy: not said
  append(out, kSnapLength);
  append(out, kEthernet);
  return out;
}

std::string pcap_record(WallTime time, std::string_view frame) {
  std::string out;
  append(out, static_cast<std::uint32_t>(time.ns / kNanosecondsPerSecond));
  append(out, static_cast<std::uint32_t>(time.ns % kNanosecondsPerSecond));
  append(out, static_cast<std::uint32_t>(frame.size()));
  append(out, static_cast<std::uint32_t>(frame.size()));
  out += frame;
  return out;
}

}  // namespace perigee::lab
