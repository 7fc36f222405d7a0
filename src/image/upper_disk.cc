// Empty ext4 file systems by mke2fs, in a file or in memory. Their tables are left to be written
// lazily, so one of any size costs milliseconds and a few hundred KiB. They have a journal: the
// guest's power may go at any time, and a machine that is suspended keeps its disk.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "image/image.h"
#include "image/limits.h"
#include "sys/fd.h"

namespace perigee::image {
namespace {

constexpr std::uint64_t kSmallestUpper = 16 * kMiB;
constexpr int kChildDescriptor = 3;

Result<void> check_size(std::string_view what, std::uint64_t bytes) {
  if (bytes >= kSmallestUpper && bytes <= kMaxImageBytes) return {};
  return fail(Code::invalid_argument, "{}: a writable disk has {} to {} MiB, not {}", what,
              kSmallestUpper / kMiB, kMaxImageBytes / kMiB, bytes / kMiB);
}

Result<void> make_sparse(const std::string& path, std::uint64_t bytes) {
  const int flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC;
  TRY(const sys::Fd fd, sys::own(::open(path.c_str(), flags, 0600), "make " + path));
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) < 0) {
    return fail(errno_error(errno, "size " + path));
  }
  return {};
}

Result<sys::Fd> make_memory(std::uint64_t bytes) {
  TRY(sys::Fd fd, sys::own(::memfd_create("ext4", MFD_CLOEXEC), "make a disk in memory"));
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) < 0) {
    return fail(errno_error(errno, "size a disk in memory"));
  }
  return fd;
}

sys::Spawn mke2fs(std::vector<std::string> more) {
  sys::Spawn spawn{.argv = {"mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-E",
                            "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0"}};
  spawn.argv.insert(spawn.argv.end(), more.begin(), more.end());
  return spawn;
}

async::Task<Result<void>> run_mke2fs(sys::Host& host, sys::Spawn spawn, std::string what) {
  CO_TRY(const sys::Completed done,
         co_await host.processes.run(spawn, "", host.loop.deadline_in(30s)));
  if (!done.status.success()) co_return fail(sys::helper_failed(spawn, done).with(what));
  co_return Result<void>();
}

}  // namespace

async::Task<Result<void>> make_upper_disk(sys::Host& host, std::string path, std::uint64_t bytes) {
  CO_TRY_VOID(check_size(path, bytes));
  CO_TRY_VOID(
      co_await host.pool.run(host.loop, [path, bytes] { return make_sparse(path, bytes); }));
  co_return co_await run_mke2fs(host, mke2fs({path}), path);
}

async::Task<Result<sys::Fd>> make_ext4_in_memory(sys::Host& host, std::uint64_t bytes) {
  CO_TRY_VOID(check_size("a disk in memory", bytes));
  CO_TRY(sys::Fd memory, make_memory(bytes));
  sys::Spawn spawn = mke2fs({"-b", "4096", fmt::format("/proc/self/fd/{}", kChildDescriptor)});
  // Else mke2fs makes holes where it means zeroes.
  spawn.env.emplace().emplace_back("UNIX_IO_NOZEROOUT", "1");
  spawn.descriptors = {{memory.get(), kChildDescriptor}};
  CO_TRY_VOID(co_await run_mke2fs(host, std::move(spawn), "a disk in memory"));
  co_return memory;
}

}  // namespace perigee::image
