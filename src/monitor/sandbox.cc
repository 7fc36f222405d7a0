#include "monitor/sandbox.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/log.h"
#include "sys/cgroup.h"
#include "vm/qemu.h"

namespace perigee::monitor {
namespace {

constexpr std::string_view kRootFolder = "root";  // where the VMM's root is mounted, for it alone
constexpr const char* kKvmDevice = "/dev/kvm";
constexpr unsigned kMaxOpenFiles = 1024;
constexpr unsigned kMaxThreads = 256;  // QEMU's pool for disks alone may have 64
constexpr std::uint64_t kMib = 1024 * 1024;
constexpr std::uint64_t kOverheadMib = 192;  // of the VMM: translated code (64), caches, its own
constexpr int kRemovalAttempts = 40;
constexpr timespec kRemovalPause{.tv_sec = 0, .tv_nsec = 5'000'000};

Result<void> make_folder(std::string_view name, mode_t mode) {
  const std::string path(name);
  if (::mkdir(path.c_str(), mode) < 0 && errno != EEXIST) {
    return fail(errno_error(errno, "make " + path));
  }
  if (::chmod(path.c_str(), mode) < 0) return fail(errno_error(errno, "open up " + path));
  return {};
}

}  // namespace

sys::CgroupLimits cgroup_limits(const vm::VmSpec& vm) {
  return {.cpu_percent = vm.limits.cpu_percent,
          .cpu_weight = vm.limits.cpu_weight,
          .memory_bytes = (static_cast<std::uint64_t>(vm.memory_mib) + kOverheadMib) * kMib,
          .max_processes = static_cast<int>(kMaxThreads)};
}

Result<std::vector<std::string>> make_cgroups(const vm::VmSpec& vm) {
  if (vm.cgroup.empty()) return std::vector<std::string>();
  TRY(const sys::Cgroups cgroups, sys::Cgroups::detect());
  for (const sys::Controller controller : cgroups.missing()) {
    log_warning("monitor", "this host has no control groups for {}: the VM is not bounded there",
                to_string(controller));
  }
  return cgroups.create(vm.cgroup, cgroup_limits(vm));
}

sys::Confinement confinement_of(const vm::BootSpec& boot, const std::string& directory,
                                std::vector<std::string> cgroups) {
  sys::Confinement out{.uid = boot.vm.uid, .gid = boot.vm.uid};
  out.root = fmt::format("{}/{}", directory, kRootFolder);
  out.directories = {
      {fmt::format("{}/{}", directory, vm::kVmmFolder), fmt::format("/{}", vm::kVmmFolder)}};
  out.devices = {"/dev/null", "/dev/urandom"};
  if (boot.vmm.accelerator == vm::Accelerator::kvm) out.devices.emplace_back(kKvmDevice);
  out.working_directory = fmt::format("/{}", vm::kVmmFolder);
  out.cgroups = std::move(cgroups);
  out.max_open_files = kMaxOpenFiles;
  out.max_threads = kMaxThreads;
  return out;
}

Result<void> Sandbox::prepare(const vm::BootSpec& boot) {
  TRY_VOID(make_folder(kRootFolder, 0700));
  TRY_VOID(make_folder(vm::kVmmFolder, 0711));
  TRY_VOID(open_files(boot));
  TRY(std::vector<std::string> cgroups, make_cgroups(boot.vm));
  std::error_code error;
  const std::filesystem::path here = std::filesystem::current_path(error);
  if (error) return fail(errno_error(error.value(), "the VM's directory"));
  confinement_ = confinement_of(boot, here.string(), std::move(cgroups));
  return {};
}

Result<void> Sandbox::open_files(const vm::BootSpec& boot) {
  const auto open = [this](const std::string& path, int flags, int number) -> Result<int> {
    TRY(sys::Fd fd, sys::own(::open(path.c_str(), flags | O_CLOEXEC), "open " + path));
    files_.emplace_back(std::move(fd), number);
    return files_.back().first.get();
  };
  TRY_VOID(open(boot.vmm.kernel, O_RDONLY, vm::kKernelFd));
  TRY_VOID(open(boot.vmm.initrd, O_RDONLY, vm::kInitrdFd));
  int number = vm::kFirstDiskFd;
  for (const vm::Disk& disk : vm::disks_of(boot.vm)) {
    const bool writable = disk.access != vm::DiskAccess::read_only;
    TRY(const int fd, open(disk.path, writable ? O_RDWR : O_RDONLY, number++));
    if (writable) TRY_VOID(give_to_vmm(fd, boot.vm));
  }
  return {};
}

Result<void> give_to_vmm(int fd, const vm::VmSpec& vm) {
  if (::fchown(fd, vm.uid, vm.uid) < 0) {
    return fail(errno_error(errno, fmt::format("give a file to user {}", vm.uid)));
  }
  return {};
}

void Sandbox::fill(sys::Spawn& spawn) const {
  for (const auto& [fd, number] : files_) spawn.descriptors.emplace_back(fd.get(), number);
  spawn.confinement = confinement_;
}

// The kernel takes a moment to let go of a process that has just ended.
void Sandbox::remove(const vm::BootSpec& boot) {
  if (boot.vm.cgroup.empty()) return;
  const auto cgroups = sys::Cgroups::detect();
  if (!cgroups) return;
  for (int attempt = 0; attempt < kRemovalAttempts; ++attempt) {
    const auto removed = cgroups->remove(boot.vm.cgroup);
    if (removed) return;
    if (removed.error().code != Code::conflict) {
      return log_warning("monitor", "{}", removed.error().context);
    }
    ::nanosleep(&kRemovalPause, nullptr);
  }
  log_warning("monitor", "the control group {} is still in use", boot.vm.cgroup);
}

}  // namespace perigee::monitor
