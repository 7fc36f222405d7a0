// A machine's IPv6 addresses (docs/formats/mesh.md): in a fleet those of its app's network on this
// node, otherwise those of the node's own network; the last 32 bits are its IPv4 address. Pure.
#pragma once

#include <optional>
#include <string>

#include "vm/firewall.h"
#include "worker/addresses.h"
#include "worker/config.h"
#include "worker/machine_types.h"

namespace perigee::worker {

struct PrivateAddresses {
  std::string machine;
  std::string gateway;
  std::optional<vm::FleetMatch> fleet = std::nullopt;  // of its app; nullopt: not of a fleet
  bool operator==(const PrivateAddresses&) const = default;
};

// What a machine that boots now is to have.
std::string wanted_address6(const AddressPool& pool, const Config& config, const Record& record);
// What it has: of a record whose VM booted before its node joined a fleet still the node's own.
PrivateAddresses private_addresses(const AddressPool& pool, const Config& config,
                                   const Record& record);

}  // namespace perigee::worker
