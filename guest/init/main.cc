// perigee-init: PID 1 of every machine. Composition only: initrd set-up, the control channel, the
// supervisor, and the end of the machine, whichever way it comes.
#include <errno.h>
#include <sys/reboot.h>
#include <unistd.h>

#include <utility>

#include "init/boot.h"
#include "init/link.h"
#include "init/supervisor.h"
#include "init/system.h"

namespace perigee::init {
namespace {

Status live(BootParameters& parameters) {
  if (auto done = mount_kernel_filesystems(); !done) {
    return done;
  }
  auto read = read_boot_parameters();
  if (!read) {
    return std::unexpected(read.error());
  }
  parameters = *read;
  if (auto done = load_modules(parameters.carrier); !done) {
    return done;
  }
  Result<Link> link = Link::open(parameters.carrier);
  if (!link) {
    return std::unexpected(link.error());
  }
  Supervisor(std::move(*link)).run();
  return {};
}

// Ends the VMM: a power-off where ACPI offers it, else a reset, which QEMU's -no-reboot and
// Firecracker turn into an exit. PID 1 must never return.
[[noreturn]] void end_machine(ExitBy exit_by) {
  sync();
  // SAFETY: nothing runs any more and the disks are clean.
  if (exit_by == ExitBy::kPowerOff) {
    reboot(RB_POWER_OFF);
  }
  reboot(RB_AUTOBOOT);
  while (true) {
    pause();
  }
}

}  // namespace
}  // namespace perigee::init

int main() {
  using namespace perigee::init;
  if (getpid() != 1) {
    constexpr std::string_view kUsage = "perigee-init is a machine's PID 1; it does nothing here\n";
    return write(2, kUsage.data(), kUsage.size()) < 0 ? 1 : 2;
  }
  BootParameters parameters;
  if (const Status done = live(parameters); !done) {
    console_line(done.error().message);
  }
  end_machine(parameters.exit_by);
}
