#include "monitor/snapshot.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "vm/spec.h"

namespace perigee::monitor {
namespace {

constexpr std::size_t kCopyBuffer = 1024 * 1024;
constexpr mode_t kMode = 0600;

std::string here(std::string_view name) {
  return std::string(name);
}

Result<void> sync_directory() {
  TRY(const sys::Fd directory, sys::own(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "."));
  if (::fsync(directory.get()) < 0) return fail(errno_error(errno, "sync the VM's directory"));
  return {};
}

Result<void> write_all(int fd, std::string_view bytes, off_t at) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "write ram"));
    bytes.remove_prefix(static_cast<std::size_t>(n));
    at += n;
  }
  return {};
}

Result<void> copy_range(int from, int to, off_t at, off_t end, std::vector<char>& buffer) {
  while (at < end) {
    const auto size = std::min<std::size_t>(buffer.size(), static_cast<std::size_t>(end - at));
    const ssize_t n = ::pread(from, buffer.data(), size, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "read the guest's memory"));
    if (n == 0) return fail(Code::data_loss, "the guest's memory is shorter than it was");
    TRY_VOID(write_all(to, std::string_view(buffer.data(), static_cast<std::size_t>(n)), at));
    at += n;
  }
  return {};
}

Result<void> copy_data(int from, int to, off_t size) {
  std::vector<char> buffer(kCopyBuffer);
  off_t at = 0;
  while (at < size) {
    const off_t data = ::lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // a hole up to the end
    if (data < 0) return fail(errno_error(errno, "read the guest's memory"));
    const off_t hole = ::lseek(from, data, SEEK_HOLE);
    if (hole < 0) return fail(errno_error(errno, "read the guest's memory"));
    TRY_VOID(copy_range(from, to, data, hole, buffer));
    at = hole;
  }
  return {};
}

}  // namespace

Result<sys::Fd> make_ram(std::uint64_t bytes) {
  TRY(sys::Fd fd, sys::own(::memfd_create("guest-ram", MFD_CLOEXEC), "memory for the guest"));
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) < 0) {
    return fail(errno_error(errno, "memory for the guest"));
  }
  return fd;
}

Result<sys::Fd> open_saved_ram() {
  const std::string path = here(vm::kRamFile);
  return sys::own(::open(path.c_str(), O_RDWR | O_CLOEXEC), "open " + path);
}

Result<void> save_ram(int ram) {
  const std::string path = here(vm::kRamFile);
  struct stat memory{};
  if (::fstat(ram, &memory) < 0) return fail(errno_error(errno, "the guest's memory"));
  struct stat file{};
  const bool same = ::stat(path.c_str(), &file) == 0 && file.st_dev == memory.st_dev &&
                    file.st_ino == memory.st_ino;
  if (same) return sync_file(path);
  const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  TRY(const sys::Fd out, sys::own(::open(path.c_str(), flags, kMode), "open " + path));
  if (::ftruncate(out.get(), memory.st_size) < 0) return fail(errno_error(errno, path));
  TRY_VOID(copy_data(ram, out.get(), memory.st_size));
  if (::fsync(out.get()) < 0) return fail(errno_error(errno, "sync " + path));
  return {};
}

Result<void> sync_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return {};
  TRY(const sys::Fd file, sys::own(fd, "open " + path));
  if (::fsync(file.get()) < 0) return fail(errno_error(errno, "sync " + path));
  return {};
}

Result<void> write_record(const json::Value& hardware) {
  const std::string path = here(vm::kSnapshotFile);
  const std::string fresh = path + ".new";
  {
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    TRY(const sys::Fd out, sys::own(::open(fresh.c_str(), flags, kMode), "open " + fresh));
    TRY_VOID(write_all(out.get(), hardware.dump(), 0));
    if (::fsync(out.get()) < 0) return fail(errno_error(errno, "sync " + fresh));
  }
  if (::rename(fresh.c_str(), path.c_str()) < 0) return fail(errno_error(errno, path));
  return sync_directory();
}

Result<void> check_record(const json::Value& hardware) {
  const std::string path = here(vm::kSnapshotFile);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return fail(Code::not_found, "there is no snapshot");
  TRY(const sys::Fd file, sys::own(fd, "open " + path));
  const std::string wanted = hardware.dump();
  std::string found(wanted.size() + 1, '\0');
  const ssize_t n = ::pread(file.get(), found.data(), found.size(), 0);
  if (n < 0) return fail(errno_error(errno, "read " + path));
  found.resize(static_cast<std::size_t>(n));
  if (found != wanted) {
    return fail(Code::conflict, "the snapshot is of a VM that was started in another way");
  }
  return {};
}

Result<void> remove_record() {
  const std::string path = here(vm::kSnapshotFile);
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) return fail(errno_error(errno, path));
  return sync_directory();
}

bool has_record() {
  return ::access(here(vm::kSnapshotFile).c_str(), F_OK) == 0;
}

void remove_snapshot() {
  for (const std::string_view name : {vm::kSnapshotFile, vm::kStateFile, vm::kRamFile}) {
    ::unlink(here(name).c_str());
  }
}

}  // namespace perigee::monitor
