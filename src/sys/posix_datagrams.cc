#include "sys/posix_datagrams.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sys/posix_host.h"
#include "sys/posix_stream.h"
#include "sys/socket_group.h"

namespace perigee::sys {
namespace {

constexpr std::size_t kMaxVoices = 4096;  // a descriptor each
constexpr std::size_t kControl = CMSG_SPACE(sizeof(sockaddr_in6)) + CMSG_SPACE(sizeof(in6_pktinfo));

Result<void> failure(int error, const Address& to) {
  if (error == EAGAIN || error == ENOBUFS) return {};  // lost
  return fail(errno_error(error, fmt::format("send a datagram to {}", to)));
}

Address local_of(int fd) {
  sockaddr_storage raw{};
  socklen_t size = sizeof raw;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&raw), &size) < 0) return {};
  return Address::from_raw(reinterpret_cast<const sockaddr*>(&raw), size);
}

// The address that a datagram was sent to, if the kernel has told.
Address destination_of(msghdr& message, const Address& fallback) {
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr;
       each = CMSG_NXTHDR(&message, each)) {
    const auto* raw = reinterpret_cast<const sockaddr*>(CMSG_DATA(each));
    if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_ORIGDSTADDR) {
      return Address::from_raw(raw, sizeof(sockaddr_in));
    }
    if (each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_ORIGDSTADDR) {
      return Address::from_raw(raw, sizeof(sockaddr_in6));
    }
  }
  return fallback;
}

// Has a message leave from `own`'s host (ip(7), IP_PKTINFO).
void put_source(msghdr& message, const Address& own) {
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (own.is_ipv6()) {
    in6_pktinfo info{};
    info.ipi6_addr = reinterpret_cast<const sockaddr_in6*>(own.raw())->sin6_addr;
    head->cmsg_level = IPPROTO_IPV6;
    head->cmsg_type = IPV6_PKTINFO;
    head->cmsg_len = CMSG_LEN(sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
    std::memcpy(CMSG_DATA(head), &info, sizeof info);
    return;
  }
  in_pktinfo info{};
  info.ipi_spec_dst = reinterpret_cast<const sockaddr_in*>(own.raw())->sin_addr;
  head->cmsg_level = IPPROTO_IP;
  head->cmsg_type = IP_PKTINFO;
  head->cmsg_len = CMSG_LEN(sizeof info);
  message.msg_controllen = CMSG_SPACE(sizeof info);
  std::memcpy(CMSG_DATA(head), &info, sizeof info);
}

Result<Fd> bound_socket(const Address& at, Binding binding, Sharing sharing = Sharing::alone) {
  const std::string what = fmt::format("open UDP {}", at);
  TRY(Fd fd, own(::socket(at.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), what));
  const int on = 1;
  if (sharing == Sharing::group) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  if (at.is_ipv6()) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (binding == Binding::coming) {
    ::setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  }
  if (::bind(fd.get(), at.raw(), at.raw_size()) < 0) return fail(errno_error(errno, what));
  return fd;
}

Result<void> ask_for_destinations(int fd, const Address& at) {
  const int on = 1;
  const int level = at.is_ipv6() ? IPPROTO_IPV6 : IPPROTO_IP;
  const int option = at.is_ipv6() ? IPV6_RECVORIGDSTADDR : IP_RECVORIGDSTADDR;
  if (::setsockopt(fd, level, option, &on, sizeof on) == 0) return {};
  return fail(errno_error(errno, fmt::format("UDP {}: ask for destinations", at)));
}

}  // namespace

PosixDatagrams::PosixDatagrams(EpollPort& port, async::Loop& loop, Fd fd)
    : fd_(std::move(fd)), watch_(port, loop, fd_.get()), local_(local_of(fd_.get())) {}

async::Task<Result<Datagrams::Received>> PosixDatagrams::receive(std::span<char> into) {
  for (;;) {
    sockaddr_storage raw{};
    alignas(cmsghdr) std::array<char, kControl> control{};
    iovec data{.iov_base = into.data(), .iov_len = into.size()};
    msghdr message{};
    message.msg_name = &raw;
    message.msg_namelen = sizeof raw;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t n = ::recvmsg(fd_.get(), &message, 0);
    if (n >= 0) {
      co_return Received{
          static_cast<std::size_t>(n),
          Address::from_raw(reinterpret_cast<const sockaddr*>(&raw), message.msg_namelen),
          destination_of(message, local_)};
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
  return failure(errno, to);
}

Result<void> PosixDatagrams::send_from(const Address& own, std::string_view data,
                                       const Address& to) {
  if (own.port() != local_.port()) {
    TRY(const int voice, voice_of(own));
    const ssize_t sent =
        ::sendto(voice, data.data(), data.size(), MSG_NOSIGNAL, to.raw(), to.raw_size());
    return sent >= 0 ? Result<void>() : failure(errno, to);
  }
  alignas(cmsghdr) std::array<char, kControl> control{};
  iovec part{.iov_base = const_cast<char*>(data.data()), .iov_len = data.size()};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(to.raw());
  message.msg_namelen = to.raw_size();
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  put_source(message, own);
  if (::sendmsg(fd_.get(), &message, MSG_NOSIGNAL) >= 0) return {};
  return failure(errno, to);
}

Result<int> PosixDatagrams::voice_of(const Address& own) {
  const std::string address = own.str();
  if (const auto found = by_address_.find(address); found != by_address_.end()) {
    voices_.splice(voices_.begin(), voices_, found->second);
    return found->second->fd.get();
  }
  TRY(Fd fd, bound_socket(own, Binding::coming));
  if (voices_.size() >= kMaxVoices) {
    by_address_.erase(voices_.back().address);
    voices_.pop_back();
  }
  voices_.push_front({.address = address, .fd = std::move(fd)});
  by_address_.emplace(address, voices_.begin());
  return voices_.front().fd.get();
}

Result<Fd> datagram_socket(const Address& at, Binding binding) {
  TRY(Fd fd, bound_socket(at, binding));
  TRY_VOID(ask_for_destinations(fd.get(), at));
  return fd;
}

Result<std::vector<Fd>> datagram_group(const Address& at, std::size_t size) {
  const Sharing sharing = size > 1 ? Sharing::group : Sharing::alone;
  std::vector<Fd> out;
  for (std::size_t i = 0; i < size; ++i) {
    TRY(Fd fd, bound_socket(at, Binding::present, sharing));
    TRY_VOID(ask_for_destinations(fd.get(), at));
    out.push_back(std::move(fd));
  }
  return out;
}

Result<std::unique_ptr<Datagrams>> PosixNetwork::open_datagrams(const Address& at,
                                                                Binding binding) {
  TRY(Fd fd, bound_socket(at, binding));
  return std::make_unique<PosixDatagrams>(port_, loop_, std::move(fd));
}

}  // namespace perigee::sys
