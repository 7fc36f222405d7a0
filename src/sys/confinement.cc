#include "sys/confinement.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

namespace perigee::sys {
namespace {

// Where a distribution has its programs and libraries; on a merged system all but the first are
// links into it.
constexpr std::array<const char*, 7> kSystemFolders{"usr",   "bin",   "sbin",  "lib",
                                                    "lib32", "lib64", "libx32"};
constexpr mode_t kFolderMode = 0755;
constexpr unsigned long kReadOnly = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV;
constexpr unsigned long kWritable = MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr mode_t kDeviceMode = 0600;
constexpr const char* kRootOptions = "mode=0755,size=64k,nr_inodes=128";

bool make_folder(const std::string& path) {
  return ::mkdir(path.c_str(), kFolderMode) == 0 || errno == EEXIST;
}

bool limit(__rlimit_resource resource, rlim_t value) {
  const rlimit bound{value, value};
  return ::setrlimit(resource, &bound) == 0;
}

}  // namespace

Result<ConfinementPlan> ConfinementPlan::make(const Confinement& confinement) {
  if (confinement.uid == 0 || confinement.gid == 0) {
    return fail(Code::invalid_argument, "a confined program can't run as root");
  }
  if (!confinement.root.starts_with('/')) {
    return fail(Code::invalid_argument, "'{}' is not an absolute path", confinement.root);
  }
  ConfinementPlan plan(confinement);
  TRY_VOID(plan.plan_system_folders());
  for (const auto& [from, to] : confinement.directories) plan.plan_directory(from, to, kReadOnly);
  for (const auto& [from, to] : confinement.writable_directories) {
    plan.plan_directory(from, to, kWritable);
  }
  plan.plan_devices();
  plan.proc_ = confinement.root + "/proc";
  plan.folders_.push_back(plan.proc_);
  for (const std::string& group : confinement.cgroups) {
    plan.cgroup_files_.push_back(group + "/cgroup.procs");
  }
  return plan;
}

void ConfinementPlan::plan_directory(const std::string& from, const std::string& to,
                                     unsigned long flags) {
  folders_.push_back(confinement_.root + to);
  binds_.push_back({from, confinement_.root + to, flags});
}

Result<void> ConfinementPlan::plan_system_folders() {
  for (const char* name : kSystemFolders) {
    const std::filesystem::path path = std::filesystem::path("/") / name;
    const std::string inside = confinement_.root + path.string();
    std::error_code error;
    const auto status = std::filesystem::symlink_status(path, error);
    if (std::filesystem::is_symlink(status)) {
      const auto target = std::filesystem::read_symlink(path, error);
      if (error) return fail(errno_error(error.value(), "read " + path.string()));
      symlinks_.emplace_back(target.string(), inside);
    } else if (std::filesystem::is_directory(status)) {
      plan_directory(path.string(), path.string(), kReadOnly);
    }
  }
  return {};
}

void ConfinementPlan::plan_devices() {
  folders_.push_back(confinement_.root + "/dev");
  for (const std::string& device : confinement_.devices) {
    struct stat info{};
    if (::stat(device.c_str(), &info) < 0 || !S_ISCHR(info.st_mode)) continue;
    devices_.push_back({confinement_.root + device, info.st_rdev});
  }
}

int ConfinementPlan::namespaces() const {
  const bool closed = confinement_.network == Confinement::Network::none;
  return CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (closed ? CLONE_NEWNET : 0);
}

const char* ConfinementPlan::apply() const {
  if (const char* failed = join_cgroups()) return failed;
  if (const char* failed = fill_root()) return failed;
  if (const char* failed = enter_root()) return failed;
  if (const char* failed = limit_resources()) return failed;
  return drop_privileges();
}

// "0" is whoever writes it.
const char* ConfinementPlan::join_cgroups() const {
  for (const std::string& path : cgroup_files_) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return "open its control group";
    const bool written = ::write(fd, "0", 1) == 1;
    const int error = errno;
    ::close(fd);
    errno = error;
    if (!written) return "join its control group";
  }
  return nullptr;
}

// SAFETY: mounts in a mount namespace of its own, made private first: the host sees none of them.
const char* ConfinementPlan::fill_root() const {
  ::umask(022);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
    return "make mounts private";
  const char* root = confinement_.root.c_str();
  if (::mount("perigee", root, "tmpfs", MS_NOSUID | MS_NOEXEC, kRootOptions) < 0) {
    return "mount its root";
  }
  for (const std::string& folder : folders_) {
    if (!make_folder(folder)) return "make a folder in its root";
  }
  for (const Mount& bind : binds_) {
    if (::mount(bind.from.c_str(), bind.to.c_str(), nullptr, MS_BIND, nullptr) < 0 ||
        ::mount(nullptr, bind.to.c_str(), nullptr, bind.flags, nullptr) < 0) {
      return "mount a folder in its root";
    }
  }
  // Nodes of its own: who may use the host's is not for it to depend on.
  for (const Device& device : devices_) {
    if (::mknod(device.path.c_str(), S_IFCHR | kDeviceMode, device.number) < 0 ||
        ::chown(device.path.c_str(), confinement_.uid, confinement_.gid) < 0) {
      return "make a device in its root";
    }
  }
  for (const auto& [target, path] : symlinks_) {
    if (::symlink(target.c_str(), path.c_str()) < 0) return "make a link in its root";
  }
  constexpr unsigned long kProc = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount("proc", proc_.c_str(), "proc", kProc, nullptr) < 0) return "mount its /proc";
  return nullptr;
}

// SAFETY: the host's root is unmounted, in this namespace, for good.
const char* ConfinementPlan::enter_root() const {
  const char* root = confinement_.root.c_str();
  constexpr unsigned long kSealed = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC;
  if (::mount(nullptr, root, nullptr, kSealed, nullptr) < 0) return "seal its root";
  if (::chdir(root) < 0) return "enter its root";
  if (::syscall(SYS_pivot_root, ".", ".") < 0) return "change its root";
  if (::umount2(".", MNT_DETACH) < 0) return "leave the host's root";
  if (::chdir(confinement_.working_directory.c_str()) < 0) return "enter its working directory";
  return nullptr;
}

const char* ConfinementPlan::limit_resources() const {
  ::umask(077);
  if (!limit(RLIMIT_CORE, 0)) return "limit core dumps";
  if (!limit(RLIMIT_NOFILE, confinement_.max_open_files)) return "limit open files";
  if (!limit(RLIMIT_NPROC, confinement_.max_threads)) return "limit threads";
  if (!limit(RLIMIT_MSGQUEUE, 0)) return "limit message queues";
  return nullptr;
}

// SAFETY: from root to nobody: the bounding set is emptied first, so that no program, however it is
// marked, gives a capability back.
const char* ConfinementPlan::drop_privileges() const {
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL) {
      return "give up capabilities";
    }
  }
  // Raw calls: the C library's ask all threads to follow, of which there is none in this process.
  const uid_t uid = confinement_.uid;
  const gid_t gid = confinement_.gid;
  if (::syscall(SYS_setgroups, 0, nullptr) < 0 || ::syscall(SYS_setresgid, gid, gid, gid) < 0 ||
      ::syscall(SYS_setresuid, uid, uid, uid) < 0) {
    return "become its user";
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return "forbid new privileges";
  if (::syscall(SYS_setuid, 0) == 0) {
    errno = EPERM;
    return "stay its user";
  }
  return nullptr;
}

}  // namespace perigee::sys
