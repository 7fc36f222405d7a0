#include "http/file_body.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace perigee::http {
namespace {

constexpr std::size_t kChunk = 256 * 1024;

Result<std::string> read_at(int fd, std::size_t size, std::uint64_t offset) {
  std::string data(size, '\0');
  const ssize_t n = ::pread(fd, data.data(), size, static_cast<off_t>(offset));
  if (n < 0) return fail(errno_error(errno, "read the file to send"));
  data.resize(static_cast<std::size_t>(n));
  return data;
}

}  // namespace

Result<std::unique_ptr<FileBody>> FileBody::open(sys::Host& host, const std::string& path,
                                                 std::function<void(std::uint64_t)> on_read) {
  TRY(sys::Fd fd, sys::own(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "open " + path));
  struct stat status{};
  if (::fstat(fd.get(), &status) < 0) return fail(errno_error(errno, "stat " + path));
  return std::unique_ptr<FileBody>(new FileBody(
      host, std::move(fd), static_cast<std::uint64_t>(status.st_size), std::move(on_read)));
}

async::Task<Result<std::size_t>> FileBody::read(std::span<char> into) {
  const std::size_t want = std::min({into.size(), kChunk, size_ - done_});
  if (want == 0) co_return std::size_t{0};
  auto work = [fd = fd_, want, offset = done_] { return read_at(fd->get(), want, offset); };
  CO_TRY(const std::string data, co_await host_.pool.run(host_.loop, std::move(work)));
  if (data.empty()) co_return fail(Code::data_loss, "the file became shorter while it was sent");
  std::ranges::copy(data, into.begin());
  done_ += data.size();
  if (on_read_) on_read_(done_);
  co_return data.size();
}

}  // namespace perigee::http
