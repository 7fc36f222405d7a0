#include "sys/kernel_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/posix_stream.h"

namespace perigee::sys {
namespace {

constexpr int kPipeBytes = 256 * 1024;
constexpr unsigned kFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

ssize_t splice_some(int from, int to, std::size_t most) {
  for (;;) {
    const ssize_t n = ::splice(from, nullptr, to, nullptr, most, kFlags);
    if (n >= 0 || errno != EINTR) return n;
  }
}

}  // namespace

bool KernelPipe::joins(const Stream& from, const Stream& to) {
  return dynamic_cast<const PosixStream*>(&from) != nullptr &&
         dynamic_cast<const PosixStream*>(&to) != nullptr;
}

Result<KernelPipe> KernelPipe::open() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) < 0) return fail(errno_error(errno, "pipe"));
  KernelPipe pipe{Fd(ends[1]), Fd(ends[0])};
  // A user's pipes have a bound together: the usual size does as well.
  std::ignore = ::fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);
  return pipe;
}

async::Task<KernelPipe::Step> KernelPipe::move(Stream& from, Stream& to) {
  auto& source = dynamic_cast<PosixStream&>(from);
  auto& sink = dynamic_cast<PosixStream&>(to);
  ssize_t there = splice_some(source.fd(), in_.get(), kPipeBytes);
  while (there < 0 && errno == EAGAIN) {  // the pipe is empty: it is the source that waits
    co_await source.readable();
    there = splice_some(source.fd(), in_.get(), kPipeBytes);
  }
  if (there < 0) co_return Step{Outcome::source_lost};
  if (there == 0) co_return Step{Outcome::end};
  for (auto left = static_cast<std::size_t>(there); left > 0;) {
    const ssize_t n = splice_some(out_.get(), sink.fd(), left);
    if (n > 0) {
      left -= static_cast<std::size_t>(n);
    } else if (n < 0 && errno == EAGAIN) {
      co_await sink.writable();
    } else {
      co_return Step{Outcome::sink_lost, static_cast<std::size_t>(there) - left};
    }
  }
  co_return Step{Outcome::moved, static_cast<std::size_t>(there)};
}

}  // namespace perigee::sys
