#include "sys/posix_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "sys/fd.h"

namespace perigee::sys {
namespace {

namespace fs = std::filesystem;

Error from(const std::error_code& error, std::string_view what) {
  return errno_error(error.value(), what);
}

Result<std::string> read_now(const std::string& path, std::uint64_t max_bytes) {
  const std::string what = "read " + path;
  TRY(const Fd fd, own(::open(path.c_str(), O_RDONLY | O_CLOEXEC), what));
  std::string out;
  for (;;) {
    constexpr std::size_t kStep = 64 * 1024;
    const std::size_t old = out.size();
    out.resize(old + kStep);
    const ssize_t n = ::read(fd.get(), out.data() + old, kStep);
    if (n < 0) return fail(errno_error(errno, what));
    out.resize(old + static_cast<std::size_t>(n));
    if (n == 0) return out;
    if (out.size() > max_bytes) {
      return fail(Code::resource_exhausted, "{}: larger than {} bytes", path, max_bytes);
    }
  }
}

Result<void> write_all(int fd, std::string_view data, std::string_view what) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, what));
    data.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> sync_directory(const fs::path& directory) {
  const std::string what = "sync " + directory.string();
  TRY(const Fd fd, own(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), what));
  if (::fsync(fd.get()) < 0) return fail(errno_error(errno, what));
  return {};
}

Result<void> fill_temporary(const std::string& path, std::string_view data, unsigned mode,
                            Durability durability) {
  const std::string what = "write " + path;
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
  TRY(const Fd fd, own(::open(path.c_str(), flags, static_cast<mode_t>(mode)), what));
  TRY_VOID(write_all(fd.get(), data, what));
  if (durability == Durability::synced && ::fsync(fd.get()) < 0) {
    return fail(errno_error(errno, what));
  }
  return {};
}

Result<void> write_now(const std::string& path, std::string_view data, unsigned mode,
                       Durability durability) {
  static std::atomic<std::uint64_t> counter{0};
  const std::string temporary = fmt::format("{}.{}.{}.tmp", path, ::getpid(), counter++);
  Result<void> written = fill_temporary(temporary, data, mode, durability);
  if (written && ::rename(temporary.c_str(), path.c_str()) < 0) {
    written = fail(errno_error(errno, "rename to " + path));
  }
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (durability == Durability::synced) return sync_directory(fs::path(path).parent_path());
  return {};
}

Result<void> make_directories_now(const std::string& path, unsigned mode) {
  std::error_code error;
  const bool created = fs::create_directories(path, error);
  if (error) return fail(from(error, "create " + path));
  if (created && ::chmod(path.c_str(), static_cast<mode_t>(mode)) < 0) {
    return fail(errno_error(errno, "chmod " + path));
  }
  return {};
}

Result<std::vector<std::string>> list_now(const std::string& path) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) return fail(from(error, "list " + path));
  std::ranges::sort(names);
  return names;
}

}  // namespace

async::Task<Result<std::string>> PosixDisk::read_file(std::string path, std::uint64_t max_bytes) {
  return pool_.run(loop_,
                   [path = std::move(path), max_bytes] { return read_now(path, max_bytes); });
}

async::Task<Result<void>> PosixDisk::write_file(std::string path, std::string data, unsigned mode,
                                                Durability durability) {
  return pool_.run(loop_, [path = std::move(path), data = std::move(data), mode, durability] {
    return write_now(path, data, mode, durability);
  });
}

async::Task<Result<void>> PosixDisk::make_directories(std::string path, unsigned mode) {
  return pool_.run(loop_,
                   [path = std::move(path), mode] { return make_directories_now(path, mode); });
}

async::Task<Result<void>> PosixDisk::remove(std::string path) {
  return pool_.run(loop_, [path = std::move(path)]() -> Result<void> {
    if (::unlink(path.c_str()) < 0 && errno != ENOENT) {
      return fail(errno_error(errno, "remove " + path));
    }
    return {};
  });
}

async::Task<Result<void>> PosixDisk::remove_tree(std::string path) {
  return pool_.run(loop_, [path = std::move(path)]() -> Result<void> {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) return fail(from(error, "remove " + path));
    return {};
  });
}

async::Task<Result<std::vector<std::string>>> PosixDisk::list(std::string path) {
  return pool_.run(loop_, [path = std::move(path)] { return list_now(path); });
}

async::Task<Result<bool>> PosixDisk::exists(std::string path) {
  return pool_.run(loop_, [path = std::move(path)]() -> Result<bool> {
    std::error_code error;
    const bool there = fs::exists(path, error);
    if (error) return fail(from(error, "look at " + path));
    return there;
  });
}

}  // namespace perigee::sys
