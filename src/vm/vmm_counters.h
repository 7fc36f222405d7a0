// What a VMM counts about itself, beside what the guest and the host say: Firecracker's metrics, a
// line of JSON each minute with what has been added since the line before (docs/metrics.md).
//
//   VmmCounterReader reader;
//   reader.feed(bytes);   // as they come from the named pipe
//   reader.counts()[i]    // the sum of kVmmCounters[i] over all lines
//
// Pure. A VMM that was taken over may write what it likes: lines are bounded, sums saturate.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/json.h"

namespace perigee::vm {

struct VmmCounter {
  std::string_view name;   // in perigee_machine_vmm_NAME_total
  std::string_view group;  // Firecracker's; with '_' at its end: of each device of that kind
  std::string_view field;
  std::string_view help;
};
inline constexpr std::array<VmmCounter, 9> kVmmCounters{{
    {"block_read_bytes", "block_", "read_bytes", "Bytes that the VMM has read for the guest."},
    {"block_written_bytes", "block_", "write_bytes", "Bytes that the VMM has written for it."},
    {"block_throttled", "block_", "rate_limiter_throttled_events",
     "Times that the guest's disks have waited for their limit."},
    {"net_received_bytes", "net_", "rx_bytes_count", "Bytes that the VMM has given to the guest."},
    {"net_sent_bytes", "net_", "tx_bytes_count", "Bytes that the VMM has taken from it."},
    {"balloon_inflations", "balloon", "inflate_count", "Times that memory was taken back."},
    {"balloon_deflations", "balloon", "deflate_count", "Times that memory was given again."},
    {"vcpu_failures", "vcpu", "failures", "Failures to run a virtual processor."},
    {"seccomp_faults", "seccomp", "num_faults", "System calls that were forbidden."},
}};
using VmmCounts = std::array<std::uint64_t, kVmmCounters.size()>;

class VmmCounterReader {
 public:
  void feed(std::string_view bytes);
  const VmmCounts& counts() const { return counts_; }

 private:
  void take_line();

  std::string line_;
  bool too_long_ = false;  // what is left of this line is skipped
  VmmCounts counts_{};
};

json::Value to_json(const VmmCounts& counts);
Result<VmmCounts> vmm_counts_from(const json::Value& value);

}  // namespace perigee::vm
