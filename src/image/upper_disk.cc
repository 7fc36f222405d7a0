// make_upper_disk: an empty ext4 by mke2fs. Its tables are left to be written lazily, so a disk of
// any size costs milliseconds and a few hundred KiB. It has a journal: the guest's power may go at
// any time, and a machine that is suspended keeps its disk.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "image/image.h"
#include "image/limits.h"
#include "sys/fd.h"

namespace perigee::image {
namespace {

constexpr std::uint64_t kSmallestUpper = 16 * kMiB;

Result<void> make_sparse(const std::string& path, std::uint64_t bytes) {
  const int flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC;
  TRY(const sys::Fd fd, sys::own(::open(path.c_str(), flags, 0600), "make " + path));
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) < 0) {
    return fail(errno_error(errno, "size " + path));
  }
  return {};
}

}  // namespace

async::Task<Result<void>> make_upper_disk(sys::Host& host, std::string path, std::uint64_t bytes) {
  if (bytes < kSmallestUpper || bytes > kMaxImageBytes) {
    co_return fail(Code::invalid_argument, "{}: a writable disk has {} to {} MiB, not {}", path,
                   kSmallestUpper / kMiB, kMaxImageBytes / kMiB, bytes / kMiB);
  }
  CO_TRY_VOID(
      co_await host.pool.run(host.loop, [path, bytes] { return make_sparse(path, bytes); }));
  const sys::Spawn spawn{.argv = {"mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-E",
                                  "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0",
                                  path}};
  CO_TRY(const sys::Completed done,
         co_await host.processes.run(spawn, "", host.loop.deadline_in(30s)));
  if (!done.status.success()) co_return fail(sys::helper_failed(spawn, done).with(path));
  co_return Result<void>();
}

}  // namespace perigee::image
