#include "worker/volume_disks.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "image/image.h"
#include "sys/fd.h"
#include "worker/encrypted_disk.h"

namespace perigee::worker {
namespace {

constexpr std::int64_t kMib = 1024 * 1024;
constexpr std::int64_t kStatBlock = 512;

Result<void> sync_path(const std::string& path, int flags) {
  TRY(const sys::Fd fd, sys::own(::open(path.c_str(), flags | O_CLOEXEC), "open " + path));
  if (::fsync(fd.get()) != 0) return fail(errno_error(errno, "sync " + path));
  return {};
}

// What was made as `partial` is on disk, and has its name.
Result<void> publish(const std::string& partial, const std::string& path) {
  TRY_VOID(sync_path(partial, O_RDONLY));
  if (::rename(partial.c_str(), path.c_str()) != 0) {
    return fail(errno_error(errno, fmt::format("rename {} to {}", partial, path)));
  }
  return sync_path(std::filesystem::path(path).parent_path().string(), O_RDONLY | O_DIRECTORY);
}

Result<void> copy_range(int from, int to, off_t start, off_t end) {
  while (start < end) {
    off_t out = start;
    const ssize_t n =
        ::copy_file_range(from, &start, to, &out, static_cast<std::size_t>(end - start), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "copy a volume's disk"));
    if (n == 0) return fail(Code::data_loss, "a volume's disk became shorter while it was copied");
  }
  return {};
}

Result<void> copy_data(int from, int to, off_t size) {
  if (::ftruncate(to, size) != 0) return fail(errno_error(errno, "size a copy"));
  for (off_t at = 0; at < size;) {
    const off_t data = ::lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return {};  // only a hole is left
    if (data < 0) return fail(errno_error(errno, "look for data"));
    const off_t hole = ::lseek(from, data, SEEK_HOLE);
    if (hole < 0) return fail(errno_error(errno, "look for holes"));
    TRY_VOID(copy_range(from, to, data, hole));
    at = hole;
  }
  return {};
}

Result<void> copy_now(const std::string& from, const std::string& to) {
  const std::string partial = to + std::string(kPartialSuffix);
  TRY(const sys::Fd source, sys::own(::open(from.c_str(), O_RDONLY | O_CLOEXEC), "open " + from));
  TRY(const sys::Fd target,
      sys::own(::open(partial.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
               "make " + partial));
  struct stat status{};
  if (::fstat(source.get(), &status) != 0) return fail(errno_error(errno, "stat " + from));
  if (::ioctl(target.get(), FICLONE, source.get()) != 0) {
    TRY_VOID_AS(copy_data(source.get(), target.get(), status.st_size), from);
  }
  return publish(partial, to);
}

Result<std::optional<DiskFacts>> look_now(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0) {
    return DiskFacts{.size_mib = status.st_size / kMib,
                     .used_mib = (status.st_blocks * kStatBlock + kMib - 1) / kMib};
  }
  if (errno == ENOENT) return std::nullopt;
  return fail(errno_error(errno, "stat " + path));
}

Result<void> grow_now(const std::string& path, std::int64_t size_mib) {
  TRY(const sys::Fd fd, sys::own(::open(path.c_str(), O_RDWR | O_CLOEXEC), "open " + path));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail(errno_error(errno, "stat " + path));
  const off_t size = size_mib * kMib;
  if (size < status.st_size) {
    return fail(Code::invalid_argument, "{}: a volume is never made smaller", path);
  }
  if (::ftruncate(fd.get(), size) != 0 || ::fsync(fd.get()) != 0) {
    return fail(errno_error(errno, "extend " + path));
  }
  return {};
}

Result<std::int64_t> free_now(const std::string& directory) {
  struct statvfs status{};
  if (::statvfs(directory.c_str(), &status) != 0) {
    return fail(errno_error(errno, "free space of " + directory));
  }
  return static_cast<std::int64_t>(status.f_bavail) * static_cast<std::int64_t>(status.f_frsize) /
         kMib;
}

}  // namespace

async::Task<Result<std::optional<DiskFacts>>> HostVolumeDisks::look(std::string path) {
  co_return co_await host_.pool.run(host_.loop, [path] { return look_now(path); });
}

async::Task<Result<void>> HostVolumeDisks::make(std::string path, std::int64_t size_mib,
                                                std::string key) {
  const std::string partial = path + std::string(kPartialSuffix);
  const auto bytes = static_cast<std::uint64_t>(size_mib * kMib);
  if (key.empty()) {
    CO_TRY_VOID(co_await image::make_upper_disk(host_, partial, bytes));
  } else {
    CO_TRY(const sys::Fd plain, co_await image::make_ext4_in_memory(host_, bytes));
    CO_TRY_VOID(co_await host_.pool.run(host_.loop, [fd = plain.get(), &partial, &key] {
      return write_encrypted(fd, partial, key);
    }));
  }
  co_return co_await host_.pool.run(host_.loop, [partial, path] { return publish(partial, path); });
}

async::Task<Result<void>> HostVolumeDisks::copy(std::string from, std::string to) {
  co_return co_await host_.pool.run(host_.loop, [from, to] { return copy_now(from, to); });
}

async::Task<Result<void>> HostVolumeDisks::rename(std::string from, std::string to) {
  co_return co_await host_.pool.run(host_.loop, [from, to] { return publish(from, to); });
}

async::Task<Result<void>> HostVolumeDisks::grow(std::string path, std::int64_t size_mib) {
  co_return co_await host_.pool.run(host_.loop,
                                    [path, size_mib] { return grow_now(path, size_mib); });
}

async::Task<Result<std::int64_t>> HostVolumeDisks::free_mib(std::string directory) {
  co_return co_await host_.pool.run(host_.loop, [directory] { return free_now(directory); });
}

}  // namespace perigee::worker
