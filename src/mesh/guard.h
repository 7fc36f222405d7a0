// What comes under an address of the fleet comes through the mesh, or from this host and its
// machines. WireGuard says so for what it decrypts; these rules say it for every other interface: a
// neighbour on the wire, who can send whatever it likes, is nobody of the fleet, and reaches
// nothing that listens for the fleet.
//
// An nftables table of its own, named after the interface, loaded as one transaction; loading it
// again changes nothing. Needs nft(8).
#pragma once

#include <string>

#include "async/task.h"
#include "base/result.h"
#include "mesh/prefix.h"
#include "sys/host.h"

namespace perigee::mesh {

// As nft reads them. Pure. `interface`: interface_name(…).
std::string guard_rules(const std::string& interface, const Prefix& fleet);

async::Task<Result<void>> raise_guard(sys::Host& host, std::string interface, Prefix fleet);
async::Task<Result<void>> lower_guard(sys::Host& host, std::string interface);

}  // namespace perigee::mesh
