#include "init/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cstdint>

#include "init/encryption.h"
#include "init/root.h"
#include "init/spawn.h"
#include "init/system.h"

namespace perigee::init {
namespace {

// Of fs/ext4/ext4.h, which no header of the system has: grows a mounted file system to a number of
// blocks.
constexpr unsigned long kResizeFs = _IOW('f', 16, std::uint64_t);
constexpr int kUnmountTries = 20;
constexpr int kUnmountPauseMs = 50;

// To the disk's size; nothing happens where it has that already.
Status grow(const std::string& disk, const std::string& path) {
  const Fd device(open(disk.c_str(), O_RDONLY | O_CLOEXEC));
  const Fd top(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::uint64_t bytes = 0;
  struct statfs filesystem{};
  if (!device || !top || ioctl(device.get(), BLKGETSIZE64, &bytes) != 0 ||
      fstatfs(top.get(), &filesystem) != 0) {
    return fail_errno("volume " + path + ": its size", errno, "");
  }
  std::uint64_t blocks = bytes / static_cast<std::uint64_t>(filesystem.f_bsize);
  // SAFETY: only ever grows, within the disk; the kernel refuses what can't be.
  if (ioctl(top.get(), kResizeFs, &blocks) != 0 && errno != EINVAL) {
    return fail_errno("volume " + path + ": growing its file system", errno,
                      "see the kernel's lines on the machine's console");
  }
  return {};
}

Status own(const std::string& path, const User& user) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) {
    return fail_errno("volume " + path, errno, "");
  }
  if (status.st_uid != 0 || status.st_gid != 0 || user.uid == 0) {
    return {};
  }
  if (chown(path.c_str(), user.uid, user.gid) != 0) {
    return fail_errno("volume " + path + ": giving it to the app's user", errno, "");
  }
  return {};
}

// The device that has the file system.
Result<std::string> device_of(const channel::VolumeMount& volume) {
  if (auto there = await_disk(volume.disk, "the volume of " + volume.path); !there) {
    return std::unexpected(there.error());
  }
  return volume.key.empty() ? disk_path(volume.disk) : map_encrypted(volume.disk, volume.key);
}

Status mount_volume(const channel::VolumeMount& volume, const std::string& device) {
  if (auto made = make_directories(volume.path); !made) {
    return made;
  }
  // SAFETY: the machine's own volume, made by the host.
  if (mount(device.c_str(), volume.path.c_str(), "ext4", MS_NODEV | MS_RELATIME, "discard") != 0) {
    return fail_errno(
        "volume " + volume.path, errno,
        volume.key.empty()
            ? "its file system can't be mounted; restore one of its snapshots"
            : "its file system can't be mounted: it is damaged, or its key is not the "
              "one that it was made with; restore one of its snapshots");
  }
  return {};
}

}  // namespace

Status Volumes::open(const std::vector<channel::VolumeMount>& mounts, std::string_view user) {
  if (mounts.empty()) {
    return {};
  }
  const auto owner = app_user(user);
  if (!owner) {
    return std::unexpected(owner.error());
  }
  for (const channel::VolumeMount& volume : mounts) {
    const Result<std::string> device = device_of(volume);
    if (!device) {
      return std::unexpected(device.error());
    }
    if (auto done = mount_volume(volume, *device); !done) {
      return done;
    }
    mounted_.push_back(volume.path);
    if (auto done = grow(*device, volume.path); !done) {
      return done;
    }
    if (auto done = own(volume.path, *owner); !done) {
      return done;
    }
  }
  return {};
}

// The last processes are killed but may still be on their way out, holding files open.
void Volumes::close() {
  for (; !mounted_.empty(); mounted_.pop_back()) {
    const std::string& path = mounted_.back();
    int tries = kUnmountTries;
    while (umount2(path.c_str(), 0) != 0 && errno == EBUSY && --tries > 0) {
      sleep_ms(kUnmountPauseMs);
    }
    if (tries == 0 && mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
      console_line("volume " + path + " stays mounted: " + errno_text(errno));
      sync();
    }
  }
}

}  // namespace perigee::init
