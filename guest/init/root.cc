#include "init/root.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/text.h"

namespace perigee::init {
namespace {

constexpr int kDiskWaitMs = 2000;
constexpr std::uint32_t kMaxDisks = 26;

std::string layer_path(std::uint32_t index) {
  return "/layer" + std::to_string(index);
}

Status mount_disk(std::uint32_t index, const std::string& path, const char* type,
                  unsigned long flags, std::string_view what) {
  if (auto there = await_disk(index, what); !there) {
    return there;
  }
  mkdir(path.c_str(), 0755);
  // SAFETY: the machine's own disks, made by the host.
  if (mount(disk_path(index).c_str(), path.c_str(), type, flags, nullptr) != 0) {
    return fail_errno(disk_path(index) + " (" + std::string(what) + ")", errno,
                      std::string("is it a sound ") + type + " image?");
  }
  return {};
}

Status move_mount_in(const char* path) {
  const std::string target = std::string("/new") + path;
  mkdir(target.c_str(), 0755);
  if (mount(path, target.c_str(), nullptr, MS_MOVE, nullptr) != 0) {
    return fail_errno(std::string("moving ") + path + " into the image", errno,
                      "the image must leave this path a directory");
  }
  return {};
}

// Small file systems of the kernel; one that can't be mounted is missed by few apps: a console
// line, no failure.
void mount_extra(const char* type, const char* path, mode_t mode, unsigned long flags,
                 const char* options) {
  mkdir(path, mode);
  if (mount(type, path, type, flags, options) != 0) {
    console_line(std::string("mounting ") + path + ": " + errno_text(errno));
  }
}

void mount_extras() {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NOEXEC;
  mount_extra("devpts", "/dev/pts", 0755, kFlags, "gid=5,mode=0620,ptmxmode=0666");
  mount_extra("tmpfs", "/dev/shm", 01777, kFlags | MS_NODEV, "mode=1777");
  mount_extra("mqueue", "/dev/mqueue", 01777, kFlags | MS_NODEV, nullptr);
  mount_extra("cgroup2", "/sys/fs/cgroup", 0755, kFlags | MS_NODEV, nullptr);
  symlink("/proc/self/fd", "/dev/fd");
  symlink("/proc/self/fd/0", "/dev/stdin");
  symlink("/proc/self/fd/1", "/dev/stdout");
  symlink("/proc/self/fd/2", "/dev/stderr");
}

void make_usual_directories() {
  mkdir("/run", 0755);
  if (mkdir("/tmp", 01777) == 0) {
    chmod("/tmp", 01777);  // mkdir's mode is cut by the umask
  }
}

}  // namespace

std::string disk_path(std::uint32_t index) {
  return std::string("/dev/vd") + static_cast<char>('a' + index);
}

Status await_disk(std::uint32_t index, std::string_view what) {
  if (index >= kMaxDisks) {
    return fail("disk " + std::to_string(index) + ": a machine has at most " +
                std::to_string(kMaxDisks) + " disks");
  }
  const std::int64_t deadline = monotonic_ms() + kDiskWaitMs;
  while (!exists(disk_path(index))) {
    if (monotonic_ms() > deadline) {
      return fail(disk_path(index) + " (" + std::string(what) +
                  "): no such disk; the VMM was given fewer disks than the host announced");
    }
    sleep_ms(1);
  }
  return {};
}

Status Root::mount_layers(std::uint32_t layers) {
  for (std::uint32_t i = 0; i < layers; ++i) {
    const std::string what = "image layer " + std::to_string(i + 1);
    if (auto done = mount_disk(i, layer_path(i), "erofs", MS_RDONLY | MS_NODEV, what); !done) {
      return done;
    }
  }
  return {};
}

Status Root::mount_upper(std::uint32_t disk) {
  if (auto done = mount_disk(disk, "/upper", "ext4", MS_NOATIME, "the writable disk"); !done) {
    return done;
  }
  mkdir("/upper/root", 0755);
  mkdir("/upper/work", 0755);
  return {};
}

Status Root::join(std::uint32_t layers) {
  std::string options = "lowerdir=";
  for (std::uint32_t i = layers; i > 0; --i) {
    options += layer_path(i - 1) + (i > 1 ? ":" : "");
  }
  options += ",upperdir=/upper/root,workdir=/upper/work";
  mkdir("/new", 0755);
  if (mount("overlay", "/new", "overlay", 0, options.c_str()) != 0) {
    return fail_errno("joining the image's layers (overlayfs)", errno,
                      "see the kernel's lines on the machine's console");
  }
  return {};
}

Status Root::enter(std::uint32_t layers, std::optional<std::uint32_t> upper_disk) {
  if (layers == 0) {
    return fail("layers: the host announced none; a machine needs at least one layer disk");
  }
  if (auto done = mount_layers(layers); !done) {
    return done;
  }
  if (auto done = mount_upper(upper_disk.value_or(layers)); !done) {
    return done;
  }
  if (auto done = join(layers); !done) {
    return done;
  }
  for (const char* path : {"/dev", "/proc", "/sys"}) {
    if (auto done = move_mount_in(path); !done) {
      return done;
    }
  }
  initrd_ = Fd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  // SAFETY: PID 1 alone runs; from here on "/" is the app's root (what switch_root(8) does).
  if (chdir("/new") != 0 || mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || chroot(".") != 0 ||
      chdir("/") != 0) {
    return fail_errno("entering the image", errno, "");
  }
  mount_extras();
  make_usual_directories();
  return {};
}

void Root::close() {
  sync();
  if (!initrd_) {
    return;
  }
  // The overlay first: while it is writable, the disk under it is busy.
  mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY, nullptr);
  if (fchdir(initrd_.get()) != 0 || chroot(".") != 0) {
    return;
  }
  if (mount(nullptr, "/upper", nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
    console_line("the writable disk stays mounted: " + errno_text(errno));
  }
}

}  // namespace perigee::init
