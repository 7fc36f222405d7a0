// Firewall: what a VM may reach, as one nftables table of this node (named after its state
// directory, so that several nodes share a machine). A VM answers connections; it opens none,
// neither to the host nor to another VM. Packets with another VM's address are dropped.
//
//   CO_TRY_VOID(co_await ensure_firewall(host, {.table = firewall_table(root), .network =
//   "10.201.0.0/16"}));
#pragma once

#include <string>
#include <string_view>

#include "async/task.h"
#include "base/result.h"
#include "sys/host.h"

namespace perigee::vm {

struct FirewallSettings {
  std::string table;    // firewall_table(…)
  std::string network;  // of the VMs: "10.201.0.0/16"
};

std::string firewall_table(std::string_view root);
// The rules as nft reads them; loading them again changes nothing.
std::string firewall_rules(const FirewallSettings& settings);

async::Task<Result<void>> ensure_firewall(sys::Host& host, FirewallSettings settings);
async::Task<Result<void>> remove_firewall(sys::Host& host, std::string table);

}  // namespace perigee::vm
