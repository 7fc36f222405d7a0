#include "worker/machine_network.h"

#include <utility>

#include "base/log.h"
#include "worker/limits.h"

namespace perigee::worker {

MachineNetwork::MachineNetwork(sys::Host& host, Fabric& fabric)
    : host_(host), fabric_(fabric), turn_(host.loop, 1), wish_(host.loop), attempted_(host.loop) {}

void MachineNetwork::put(const MachineId& id, vm::FirewallMachine machine) {
  const auto known = machines_.find(id);
  if (known != machines_.end() && known->second == machine) return;
  machines_.insert_or_assign(id, std::move(machine));
  changed();
}

void MachineNetwork::remove(const MachineId& id) {
  if (machines_.erase(id) > 0) changed();
}

void MachineNetwork::changed() {
  ++wanted_;
  wish_.notify_all();
}

async::Task<Result<void>> MachineNetwork::settled() {
  const std::uint64_t mine = wanted_;
  while (loaded_ < mine) {
    if (failed_ >= mine) co_return fail(why_);
    co_await attempted_.wait();
  }
  co_return Result<void>();
}

async::Task<Result<void>> MachineNetwork::load() {
  const async::Semaphore::Permit turn = co_await turn_.acquire();
  const std::uint64_t target = wanted_;
  std::vector<vm::FirewallMachine> machines;
  for (const auto& [id, machine] : machines_) machines.push_back(machine);
  Result<void> done = fail(Code::cancelled, "the node's network is taken down");
  if (!down_) done = co_await fabric_.apply(std::move(machines));
  if (done) {
    loaded_ = target;
  } else {
    failed_ = target;
    why_ = done.error();
  }
  attempted_.notify_all();
  co_return done;
}

async::Task<Result<void>> MachineNetwork::take_down() {
  down_ = true;
  const async::Semaphore::Permit turn = co_await turn_.acquire();
  co_return co_await fabric_.remove();
}

async::Task<void> MachineNetwork::run(MachineNetwork& network) {
  for (;;) {
    while (network.loaded_ == network.wanted_) co_await network.wish_.wait();
    const auto done = co_await network.load();
    if (network.down_) co_return;
    if (done) continue;
    log_error("worker", "{}; trying again", done.error().context);
    co_await network.host_.loop.sleep(kRetryAction);
  }
}

}  // namespace perigee::worker
