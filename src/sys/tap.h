// Tap: a VM's network card as the host sees it. The interface belongs to whoever holds its
// descriptor: the monitor opens it, sets it up and hands the descriptor to the VMM, so that it goes
// away with the VMM, needs no privileges there, and nothing is left to clean up when everything
// dies.
//
//   TRY(Fd tap, open_tap("pg-0123456789ab"));
//   TRY_VOID(set_up_tap({.name = …, .mtu = 1420, .host_address = "10.201.0.1", …}));
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "sys/fd.h"

namespace perigee::sys {

struct TapSettings {
  std::string name;
  int mtu = 1420;
  std::string host_address;   // the guest's gateway; the same on all taps of a host
  std::string guest_address;  // gets a route out of this tap …
  std::string guest_mac;      // … and a permanent neighbour entry
};

// A tap whose frames carry the virtio header (IFF_VNET_HDR). `conflict` while another holds that
// name.
Result<Fd> open_tap(const std::string& name);
// One that stays when nobody holds it, for a VMM that opens it by name as user `owner`; the same
// name again takes over what an earlier VM has left. It must be removed.
Result<void> make_lasting_tap(const std::string& name, uid_t owner);
void remove_tap(const std::string& name);  // absent is fine
// Up, addressed, routed; no IPv6 on the host's side (nothing to talk to by link-local addresses).
Result<void> set_up_tap(const TapSettings& settings);

}  // namespace perigee::sys
