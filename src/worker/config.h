// What a worker is told at its start, by bin/ from perigeed.toml.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "vm/driver.h"

namespace perigee::worker {

// How much of the machines' output is kept, and for how long.
struct LogRetention {
  std::uint64_t machine_bytes = std::uint64_t{8} << 20;      // of one machine
  Duration keep = 24h * 7;                                   // older lines are not shown
  std::uint64_t destroyed_bytes = std::uint64_t{256} << 20;  // of all that are gone, together
  bool operator==(const LogRetention&) const = default;
};

struct Config {
  NodeId node;
  RegionCode region;
  std::string state_dir;                  // machines/, blobs/, disks/ are in it
  std::string key_ring;                   // the file that opens the machines' secrets
  std::string network = "10.201.0.0/16";  // of the machines; the first address is the host's
  std::string network6 = "fd00:1::";      // the same, IPv6: its last 32 bits are those of IPv4
  std::uint32_t tap_group = 0;            // vm::tap_group()
  int cpus = 1;
  std::int64_t memory_mib = 1024;                      // for machines
  std::uint64_t upper_bytes = std::uint64_t{8} << 30;  // of a machine's writable disk
  std::vector<std::string> nameservers;                // of the guests
  std::string resolver = {};  // that stands before them: answers .internal here; empty: none does
  std::uint32_t first_vm_uid = vm::kFirstVmUid;  // with an address's number: its VMM's user
  std::uint32_t allowed_uid = 0;                 // who, besides root, may use worker.sock
  LogRetention logs = {};
  std::string run_dir;       // below /run; empty: a restart of the host is not noticed
  std::string host_boot_id;  // the kernel's, of this boot of the host
};

}  // namespace perigee::worker
