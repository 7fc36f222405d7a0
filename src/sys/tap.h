// Tap: a VM's network card as the host sees it. The interface belongs to whoever holds its
// descriptor: the monitor opens it, sets it up and hands the descriptor to the VMM, so that it goes
// away with the VMM, needs no privileges there, and nothing is left to clean up when everything
// dies.
//
//   TRY(Fd tap, open_tap("pg-0123456789ab"));
//   TRY_VOID(set_up_tap({.name = …, .mtu = 1420, .host_address = "10.201.0.1", …}));
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sys/fd.h"

namespace perigee::sys {

struct TapSettings {
  std::string name;
  int mtu = 1420;
  std::string host_address;        // the guest's gateway; the same on all taps of a host
  std::string guest_address;       // gets a route out of this tap …
  std::string guest_mac;           // … and a permanent neighbour entry
  std::string host_address6 = {};  // the same for IPv6; empty: none
  std::string guest_address6 = {};
  std::uint32_t group = 0;  // of interfaces, for the firewall
};

// The hardware address of the host's side of every tap.
inline constexpr std::string_view kTapHostMac = "06:70:67:00:00:01";

// A tap whose frames carry the virtio header (IFF_VNET_HDR). `conflict` while another holds that
// name.
Result<Fd> open_tap(const std::string& name);
// One that stays when nobody holds it, for a VMM that opens it by name as user `owner`; the same
// name again takes over what an earlier VM has left. It must be removed.
Result<void> make_lasting_tap(const std::string& name, uid_t owner);
void remove_tap(const std::string& name);  // absent is fine
// What the kernel may leave to whoever reads the tap: the checksums of frames, or cutting them into
// segments as well (frames are up to 64 KiB then).
enum class TapOffload { checksums, segments };
Result<void> set_tap_offload(int tap, TapOffload offload);
// Up, addressed, routed, in its group; without link-local addresses on the host's side (there is
// nothing to say to them) and deaf to router advertisements. Without an IPv6 address, or in a
// kernel without IPv6, without all of IPv6.
Result<void> set_up_tap(const TapSettings& settings);

}  // namespace perigee::sys
