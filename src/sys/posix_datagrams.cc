#include "sys/posix_datagrams.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "sys/posix_stream.h"

namespace perigee::sys {

async::Task<Result<Datagrams::Received>> PosixDatagrams::receive(std::span<char> into) {
  for (;;) {
    sockaddr_storage raw{};
    socklen_t size = sizeof raw;
    const ssize_t n = ::recvfrom(fd_.get(), into.data(), into.size(), 0,
                                 reinterpret_cast<sockaddr*>(&raw), &size);
    if (n >= 0) {
      co_return Received{static_cast<std::size_t>(n),
                         Address::from_raw(reinterpret_cast<const sockaddr*>(&raw), size)};
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (error != EAGAIN) co_return fail(errno_error(error, "receive a datagram"));
    co_await watch_.readable();
  }
}

Result<void> PosixDatagrams::send(std::string_view data, const Address& to) {
  if (::sendto(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL, to.raw(), to.raw_size()) >= 0) {
    return {};
  }
  const int error = errno;
  if (error == EAGAIN || error == ENOBUFS) return {};  // lost
  return fail(errno_error(error, fmt::format("send a datagram to {}", to)));
}

Address PosixDatagrams::local() const {
  sockaddr_storage raw{};
  socklen_t size = sizeof raw;
  if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&raw), &size) < 0) return {};
  return Address::from_raw(reinterpret_cast<const sockaddr*>(&raw), size);
}

Result<std::unique_ptr<Datagrams>> PosixNetwork::open_datagrams(const Address& at,
                                                                Binding binding) {
  const std::string what = fmt::format("open UDP {}", at);
  TRY(Fd fd, own(::socket(at.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), what));
  const int on = 1;
  if (binding == Binding::coming) {
    ::setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  }
  if (::bind(fd.get(), at.raw(), at.raw_size()) < 0) return fail(errno_error(errno, what));
  return std::make_unique<PosixDatagrams>(port_, loop_, std::move(fd));
}

}  // namespace perigee::sys
