#include "vm/jail.h"

namespace perigee::vm {
namespace {

constexpr std::string_view kBase = "jail";

std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

void add_disks(JailPlan& plan, const VmSpec& vm) {
  std::size_t index = 0;
  for (const std::string& layer : vm.layers) {
    plan.files.push_back({layer, jail_disk(index++), JailFile::Use::shared});
  }
  if (!vm.upper.empty()) {
    plan.files.push_back({vm.upper, jail_disk(index++), JailFile::Use::owned});
  }
  for (const VmVolume& volume : vm.volumes) {
    plan.files.push_back({volume.disk, jail_disk(index++), JailFile::Use::owned});
  }
}

}  // namespace

std::string jail_disk(std::size_t index) {
  return fmt::format("/disk{}", index);
}

std::string jail_api_socket(const MachineId& machine) {
  return fmt::format("/run/{}.sock", machine.str());
}

JailPlan jail_plan(const BootSpec& boot) {
  JailPlan plan;
  plan.base = kBase;
  plan.root =
      fmt::format("{}/{}/{}/root", kBase, file_name(boot.vmm.program), boot.vm.machine.str());
  plan.folders = {"/save"};
  plan.pipes = {std::string(kJailConsole)};
  if (boot.vm.resume) {
    plan.folders.emplace_back("/load");
    plan.files = {{std::string(kRamFile), std::string(kJailLoadedRam), JailFile::Use::owned},
                  {std::string(kStateFile), std::string(kJailLoadedState), JailFile::Use::owned}};
  } else {
    plan.files = {{boot.vmm.kernel, std::string(kJailKernel), JailFile::Use::shared},
                  {boot.vmm.initrd, std::string(kJailInitrd), JailFile::Use::shared}};
  }
  add_disks(plan, boot.vm);
  return plan;
}

// Neither --daemonize nor --new-pid-ns: the jailer becomes Firecracker, so the process that was
// started is the VMM, and its exit status is seen.
std::vector<std::string> jailer_command(const BootSpec& boot, JailUser user) {
  return {boot.vmm.jailer,
          "--id",
          boot.vm.machine.str(),
          "--exec-file",
          boot.vmm.program,
          "--uid",
          fmt::format("{}", user.uid),
          "--gid",
          fmt::format("{}", user.gid),
          "--chroot-base-dir",
          std::string(kBase),
          "--",
          "--api-sock",
          jail_api_socket(boot.vm.machine)};
}

std::string in_jail(const JailPlan& plan, std::string_view path) {
  return plan.root + std::string(path);
}

}  // namespace perigee::vm
