#include "vm/jail.h"

#include <algorithm>

#include "vm/qemu.h"

namespace perigee::vm {
namespace {

constexpr std::string_view kBase = "jail";

std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

void add_disks(JailPlan& plan, const VmSpec& vm) {
  std::size_t index = 0;
  for (const Disk& disk : disks_of(vm)) {
    const bool shared = disk.access == DiskAccess::read_only;
    plan.files.push_back(
        {disk.path, jail_disk(index++), shared ? JailFile::Use::shared : JailFile::Use::owned});
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
  plan.pipes = {std::string(kJailConsole), std::string(kJailMetrics)};
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

// A jailer knows one version at a time. Where a host has controllers in both, those of version 1
// are the ones that bound anything.
std::optional<JailCgroups> jail_cgroups(std::string_view group,
                                        const std::vector<sys::CgroupHierarchy>& hierarchies,
                                        const sys::CgroupLimits& limits) {
  using Version = sys::CgroupHierarchy::Version;
  if (group.empty() || hierarchies.empty()) return std::nullopt;
  const bool v1 = std::ranges::any_of(
      hierarchies, [](const auto& hierarchy) { return hierarchy.version == Version::v1; });
  JailCgroups out{.version = v1 ? 1 : 2,
                  .parent = std::string(group.substr(0, group.rfind('/'))),
                  .settings = {}};
  for (const sys::CgroupHierarchy& hierarchy : hierarchies) {
    if (hierarchy.version != (v1 ? Version::v1 : Version::v2)) continue;
    for (sys::CgroupSetting& setting : sys::cgroup_settings(hierarchy, limits)) {
      if (!sys::may_be_missing(setting.file)) out.settings.push_back(std::move(setting));
    }
  }
  return out;
}

// Neither --daemonize nor --new-pid-ns: the jailer becomes Firecracker, so the process that was
// started is the VMM, and its exit status is seen.
std::vector<std::string> jailer_command(const BootSpec& boot, JailUser user,
                                        const std::optional<JailCgroups>& cgroups) {
  std::vector<std::string> argv{boot.vmm.jailer,
                                "--id",
                                boot.vm.machine.str(),
                                "--exec-file",
                                boot.vmm.program,
                                "--uid",
                                fmt::format("{}", user.uid),
                                "--gid",
                                fmt::format("{}", user.gid),
                                "--chroot-base-dir",
                                std::string(kBase)};
  const auto add = [&argv](std::string_view option, std::string value) {
    argv.emplace_back(option);
    argv.push_back(std::move(value));
  };
  if (cgroups) {
    add("--cgroup-version", fmt::format("{}", cgroups->version));
    add("--parent-cgroup", cgroups->parent);
    for (const sys::CgroupSetting& setting : cgroups->settings) {
      add("--cgroup", fmt::format("{}={}", setting.file, setting.value));
    }
  }
  argv.emplace_back("--");
  add("--api-sock", jail_api_socket(boot.vm.machine));
  return argv;
}

std::string in_jail(const JailPlan& plan, std::string_view path) {
  return plan.root + std::string(path);
}

}  // namespace perigee::vm
