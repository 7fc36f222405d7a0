#include "worker/private_addresses.h"

#include "mesh/address_plan.h"

namespace perigee::worker {
namespace {

std::optional<mesh::AppNetwork> network_of(const Record& record) {
  const auto network = mesh::AppNetwork::parse(record.machine.private_network);
  return network ? std::optional(*network) : std::nullopt;
}

}  // namespace

std::string wanted_address6(const AddressPool& pool, const Config& config, const Record& record) {
  const std::string& address = record.status.private_ip;
  if (const auto network = network_of(record)) return network->machine(pool.value_of(address));
  return embedded_address(config.network6, address);
}

PrivateAddresses private_addresses(const AddressPool& pool, const Config& config,
                                   const Record& record) {
  PrivateAddresses own{.machine = record.status.private_ip6,
                       .gateway = embedded_address(config.network6, pool.gateway())};
  if (own.machine.empty()) {
    own.machine = embedded_address(config.network6, record.status.private_ip);
  }
  const auto network = network_of(record);
  if (!network || network->machine(pool.value_of(record.status.private_ip)) != own.machine) {
    return own;
  }
  const mesh::AppMatch match = network->match();
  return {.machine = own.machine,
          .gateway = network->gateway(pool.value_of(pool.gateway())),
          .fleet = vm::FleetMatch{match.mask, match.value}};
}

}  // namespace perigee::worker
