#include "vm/qemu.h"

namespace perigee::vm {
namespace {

// In QEMU's option lists a comma inside a value is written twice.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == ',') out += ',';
  }
  return out;
}

class Command {
 public:
  explicit Command(std::string program) { argv_.push_back(std::move(program)); }
  Command& add(std::string option) {
    argv_.push_back(std::move(option));
    return *this;
  }
  Command& add(std::string option, std::string value) {
    return add(std::move(option)).add(std::move(value));
  }
  std::vector<std::string> take() && { return std::move(argv_); }

 private:
  std::vector<std::string> argv_;
};

// Opens the descriptor's file anew, with the VMM's own rights.
std::string by_descriptor(int fd) {
  return fmt::format("/proc/self/fd/{}", fd);
}

void add_machine(Command& command, const BootSpec& boot) {
  const bool kvm = boot.vmm.accelerator == Accelerator::kvm;
  command.add("-name", qemu_name(boot.vm.machine))
      .add("-nodefaults")
      .add("-no-user-config")
      .add("-no-reboot")
      .add("-display", "none")
      .add("-object", fmt::format("memory-backend-file,id=ram,size={}M,mem-path={},share=on",
                                  boot.vm.memory_mib, by_descriptor(kRamFd)))
      .add("-machine", "microvm,auto-kernel-cmdline=off,memory-backend=ram,dump-guest-core=off")
      .add("-accel", kvm ? "kvm" : "tcg,tb-size=64")
      .add("-cpu", kvm ? "host" : "max")
      .add("-smp", fmt::format("{}", boot.vm.cpus))
      .add("-m", fmt::format("{}M", boot.vm.memory_mib))
      .add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
      .add("-kernel", by_descriptor(kKernelFd))
      .add("-initrd", by_descriptor(kInitrdFd))
      .add("-append", kernel_command_line(boot.vmm));
}

// One budget for all disks of a VM: they are of one throttle group.
std::string throttle_of(const VmLimits& limits) {
  constexpr std::int64_t kMib = 1024 * 1024;
  if (limits.disk_iops == 0 && limits.disk_mib_s == 0) return "";
  std::string text = ",throttling.group=disks";
  if (limits.disk_iops > 0) text += fmt::format(",throttling.iops-total={}", limits.disk_iops);
  if (limits.disk_mib_s > 0) {
    text += fmt::format(",throttling.bps-total={}", limits.disk_mib_s * kMib);
  }
  return text;
}

// The upper disk is made anew at each start, so nothing on it is worth a flush. A volume's is: what
// the guest has flushed is on the host's disk, and what it discards is given back.
std::string_view options_of(DiskAccess access) {
  switch (access) {
    case DiskAccess::read_only:
      return "readonly=on";
    case DiskAccess::scratch:
      return "cache=unsafe";
    case DiskAccess::durable:
      break;
  }
  return "cache=writeback,discard=unmap";
}

void add_disk(Command& command, int index, DiskAccess access, const std::string& throttle) {
  command
      .add("-drive", fmt::format("id=disk{},if=none,format=raw,{},file={}{}", index,
                                 options_of(access), by_descriptor(kFirstDiskFd + index), throttle))
      .add("-device", fmt::format("virtio-blk-device,drive=disk{}", index));
}

void add_socket(Command& command, std::string_view id, int fd) {
  command.add("-chardev", fmt::format("socket,id={},fd={},server=on,wait=off", id, fd));
}

}  // namespace

// reboot=t: with -no-reboot a triple fault is how the guest ends its VMM. tsc_early_khz: a guest
// under emulation fails to calibrate, and hangs, where the host is busy; KVM's clock needs no such
// help.
std::string kernel_command_line(const VmmSettings& vmm) {
  std::string text =
      "console=ttyS0 quiet reboot=t panic=-1 no_timer_check cryptomgr.notests "
      "init_on_alloc=0";
  if (vmm.accelerator == Accelerator::tcg && vmm.tsc_khz > 0) {
    text += fmt::format(" tsc_early_khz={} tsc=reliable", vmm.tsc_khz);
  }
  return text;
}

std::vector<Disk> disks_of(const VmSpec& vm) {
  std::vector<Disk> disks;
  for (const std::string& layer : vm.layers) disks.push_back({layer, DiskAccess::read_only});
  if (!vm.upper.empty()) disks.push_back({vm.upper, DiskAccess::scratch});
  for (const VmVolume& volume : vm.volumes) disks.push_back({volume.disk, DiskAccess::durable});
  return disks;
}

std::string qemu_name(const MachineId& machine) {
  return "guest=perigee-" + escaped(machine.str());
}

std::vector<std::string> qemu_command(const BootSpec& boot) {
  Command command(boot.vmm.program);
  add_machine(command, boot);
  int index = 0;
  const std::string throttle = throttle_of(boot.vm.limits);
  for (const Disk& disk : disks_of(boot.vm)) add_disk(command, index++, disk.access, throttle);
  if (!boot.vm.nic.tap.empty()) {
    command.add("-netdev", fmt::format("tap,id=net0,fd={}", kTapFd))
        .add("-device", "virtio-net-device,netdev=net0,mac=" + boot.vm.nic.mac);
  }
  add_socket(command, "channel", kChannelFd);
  command.add("-device", "virtio-serial-device,max_ports=2")
      .add("-device", "virtserialport,chardev=channel,name=perigee.control");
  add_socket(command, "console", kConsoleFd);
  command.add("-serial", "chardev:console");
  add_socket(command, "qmp", kQmpFd);
  command.add("-mon", "chardev=qmp,mode=control");
  if (boot.vm.resume) command.add("-incoming", "defer");
  return std::move(command).take();
}

}  // namespace perigee::vm
