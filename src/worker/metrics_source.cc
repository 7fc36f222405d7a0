#include "worker/metrics_source.h"

#include <utility>

#include "base/log.h"
#include "worker/machine_reconciler.h"

namespace perigee::worker {
namespace {

template <typename T>
std::optional<T> known(Result<T> result) {
  if (!result) return std::nullopt;
  return *std::move(result);
}

MachineSample with_host_side(SampleSeed seed) {
  MachineSample sample = std::move(seed.sample);
  sample.vmm = known(sys::process_usage(seed.vmm_pid));
  sample.monitor = known(sys::process_usage(seed.monitor_pid));
  sample.tap = known(sys::interface_usage(vm::tap_name(sample.machine)));
  return sample;
}

}  // namespace

SampleSeed seed_of(const MachineReconciler& reconciler) {
  const model::Machine& machine = reconciler.machine();
  SampleSeed seed;
  seed.sample = {.machine = machine.id,
                 .app = machine.app,
                 .region = machine.region,
                 .node = machine.node,
                 .status = reconciler.status()};
  if (const std::optional<vm::VmStatus>& vm = reconciler.vm(); vm && reconciler.has_vm()) {
    seed.runs = vm->state == vm::VmState::running;
    seed.vmm_pid = vm->vmm_pid;
    seed.monitor_pid = vm->monitor_pid;
  }
  return seed;
}

async::Task<MachineSample> take_sample(sys::Host& host, vm::Driver& driver, SampleSeed seed) {
  if (seed.runs) {
    auto guest = co_await driver.stats(seed.sample.machine);
    if (!guest) {
      log_debug("worker", "machine {}: no statistics: {}", seed.sample.machine,
                guest.error().context);
    }
    seed.sample.guest = known(std::move(guest));
    const auto counts = co_await driver.vmm_counts(seed.sample.machine);
    if (counts) seed.sample.vmm_counts = *counts;
  }
  if (seed.vmm_pid == 0) co_return std::move(seed.sample);
  co_return co_await host.pool.run(host.loop, [seed] { return with_host_side(seed); });
}

}  // namespace perigee::worker
