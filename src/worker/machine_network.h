// MachineNetwork: the machines that this node's firewall is to know, and the task that keeps it so.
// Changes that come while the firewall is being loaded are loaded together, next.
//
//   network.put(id, machine);                  // at each change of what the firewall needs to know
//   CO_TRY_VOID(co_await network.settled());   // before the machine's VM boots
//   CO_TRY_VOID(co_await network.take_down()); // `perigee down`, once all machines are stopped
//
// A machine is known for as long as it has an address, whether it runs or not: so a stopped or
// suspended one starts without waiting for the firewall. Owned by Worker; one loop.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "async/event.h"
#include "base/id.h"
#include "sys/host.h"
#include "worker/fabric.h"

namespace perigee::worker {

class MachineNetwork {
 public:
  MachineNetwork(sys::Host& host, Fabric& fabric);

  void put(const MachineId& id, vm::FirewallMachine machine);
  void remove(const MachineId& id);
  // Once all that was put before is loaded; the error of the attempt that failed to.
  async::Task<Result<void>> settled();

  // The first load, with nothing put yet included; then run() for as long as the worker lives.
  async::Task<Result<void>> load();
  static async::Task<void> run(MachineNetwork& network);

  // Removes all of it, behind a load that is under way; what is put afterwards is never loaded.
  async::Task<Result<void>> take_down();

 private:
  void changed();

  sys::Host& host_;
  Fabric& fabric_;
  std::map<MachineId, vm::FirewallMachine> machines_;
  std::uint64_t wanted_ = 0;  // counts changes
  std::uint64_t loaded_ = 0;  // the firewall has the changes up to this one
  std::uint64_t failed_ = 0;  // an attempt to load those up to this one has failed
  Error why_;
  bool down_ = false;
  async::Semaphore turn_;  // one call of the fabric at a time: the later one is what holds
  async::Notify wish_;
  async::Notify attempted_;
};

}  // namespace perigee::worker
