#include "monitor/lost.h"

#include <csignal>

#include "monitor/snapshot.h"
#include "monitor/vmm.h"

namespace perigee::monitor {

async::Task<Result<void>> record_lost_vm(sys::Host& host, vm::BootSpec boot) {
  make_vmm(host, boot)->clean_up();
  const std::string path = fmt::format("./{}", vm::kExitFile);  // its folder is synced
  CO_TRY(const bool there, co_await host.disk.exists(path));
  if (there) co_return Result<void>();
  vm::VmStatus status;
  status.machine = boot.vm.machine;
  status.instance_id = boot.vm.instance_id;
  status.state = vm::VmState::exited;
  status.ended_at = host.clock.wall();
  status.exit = vm::VmExit{.exit_code = 128 + SIGKILL,
                           .signal = SIGKILL,
                           .vmm_died = true,
                           .reason = "the VMM ended while no monitor was there to see how"};
  if (check_record(vm::hardware_of(boot))) {
    status.exit = vm::VmExit{.suspended = true, .reason = "suspended"};
  }
  co_return co_await host.disk.write_file(path, vm::to_json(status).dump(), 0600,
                                          sys::Durability::synced);
}

}  // namespace perigee::monitor
