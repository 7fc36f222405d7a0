#include "sys/posix_stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "async/combine.h"
#include "sys/posix_host.h"
#include "sys/socket_group.h"

namespace perigee::sys {
namespace {

constexpr int kBacklog = 4096;

Address address_of(int fd, int (*ask)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage raw{};
  socklen_t size = sizeof raw;
  if (ask(fd, reinterpret_cast<sockaddr*>(&raw), &size) < 0) return {};
  return Address::from_raw(reinterpret_cast<const sockaddr*>(&raw), size);
}

bool is_internet_socket(int fd) {
  int family = AF_UNSPEC;
  socklen_t size = sizeof family;
  return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 &&
         (family == AF_INET || family == AF_INET6);
}

// On a socket its own calls are a little cheaper than those of files.
ssize_t take(int fd, bool is_socket, std::span<char> into) {
  return is_socket ? ::recv(fd, into.data(), into.size(), 0) : ::read(fd, into.data(), into.size());
}

ssize_t put(int fd, bool is_socket, std::string_view data) {
  return is_socket ? ::send(fd, data.data(), data.size(), MSG_NOSIGNAL)
                   : ::write(fd, data.data(), data.size());
}

// Small writes leave at once, and a peer that is gone without a word is noticed in a minute; fails
// harmlessly on Unix sockets and pipes.
void set_options(int fd) {
  constexpr int kOn = 1;
  constexpr int kIdleSeconds = 30;
  constexpr int kBetweenSeconds = 10;
  constexpr int kProbes = 3;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &kOn, sizeof kOn);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kIdleSeconds, sizeof kIdleSeconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kBetweenSeconds, sizeof kBetweenSeconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kProbes, sizeof kProbes);
}

Result<Fd> listener_at(const Address& at, int backlog, Binding binding, Sharing sharing) {
  const std::string what = fmt::format("listen on {}", at.str());
  TRY(Fd fd, own(::socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), what));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (sharing == Sharing::group) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  if (at.is_ipv6()) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (binding == Binding::coming) {  // this one option serves both families (ip(7))
    ::setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  }
  if (at.is_unix()) ::unlink(at.host().c_str());
  if (::bind(fd.get(), at.raw(), at.raw_size()) < 0 || ::listen(fd.get(), backlog) < 0) {
    return fail(errno_error(errno, what));
  }
  return fd;
}

}  // namespace

PosixStream::PosixStream(EpollPort& port, async::Loop& loop, Fd fd)
    : fd_(std::move(fd)), watch_(port, loop, fd_.get()), tcp_(is_internet_socket(fd_.get())) {}

// No call where nothing can be there. A read of TCP that is short has emptied the queue (epoll(7));
// one of a Unix socket may end where descriptors were passed.
Result<std::optional<std::size_t>> PosixStream::try_read(std::span<char> into) {
  if (!watch_.take_read_edge() && drained_) return std::nullopt;
  for (;;) {
    const ssize_t n = take(fd_.get(), tcp_, into);
    const bool is_short = n > 0 && static_cast<std::size_t>(n) < into.size();
    drained_ = n < 0 ? errno == EAGAIN : is_short && tcp_ && !watch_.hung_up();
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EAGAIN) return std::nullopt;
    if (errno != EINTR) return fail(errno_error(errno, "read"));
  }
}

async::Task<Result<std::size_t>> PosixStream::read(std::span<char> into) {
  for (;;) {
    CO_TRY(const std::optional<std::size_t> n, try_read(into));
    if (n) co_return *n;
    co_await watch_.readable();
    drained_ = false;
  }
}

void PosixStream::when_readable(async::Waiter& waiter) {
  if (!drained_ || watch_.read_edge()) {
    waiter.schedule();
  } else {
    watch_.when_readable(waiter);
  }
}

async::Task<Result<void>> PosixStream::write(std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = put(fd_.get(), tcp_, data);
    if (n >= 0) {
      data.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      co_await watch_.writable();
    } else if (errno != EINTR) {
      co_return fail(errno_error(errno, "write"));
    }
  }
  co_return Result<void>();
}

Result<void> PosixStream::shutdown_write() {
  if (::shutdown(fd_.get(), SHUT_WR) < 0) return fail(errno_error(errno, "shutdown"));
  return {};
}

Address PosixStream::peer() const {
  return address_of(fd_.get(), ::getpeername);
}

Address PosixStream::local() const {
  return address_of(fd_.get(), ::getsockname);
}

async::Task<Result<void>> PosixStream::connected(Address to) {
  for (;;) {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
    if (error != 0) co_return fail(errno_error(error, fmt::format("connect to {}", to.str())));
    if (address_of(fd_.get(), ::getpeername).family() != AF_UNSPEC) co_return Result<void>();
    co_await watch_.writable();
  }
}

PosixListener::PosixListener(EpollPort& port, async::Loop& loop, Fd fd)
    : port_(port), loop_(loop), fd_(std::move(fd)), watch_(port, loop, fd_.get()) {}

async::Task<Result<std::unique_ptr<Stream>>> PosixListener::accept() {
  for (;;) {
    Fd client(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (client.valid()) {
      set_options(client.get());
      co_return std::make_unique<PosixStream>(port_, loop_, std::move(client));
    }
    if (errno == EAGAIN) {
      co_await watch_.readable();
    } else if (errno != EINTR && errno != ECONNABORTED) {
      co_return fail(errno_error(errno, "accept"));
    }
  }
}

Address PosixListener::local() const {
  return address_of(fd_.get(), ::getsockname);
}

async::Task<Result<std::unique_ptr<Stream>>> PosixNetwork::connect(Address to, Deadline deadline) {
  const std::string what = fmt::format("connect to {}", to.str());
  CO_TRY(Fd fd, own(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), what));
  if (::connect(fd.get(), to.raw(), to.raw_size()) < 0 && errno != EINPROGRESS) {
    co_return fail(errno == EAGAIN ? Error::make(Code::unavailable, what + ": its queue is full")
                                   : errno_error(errno, what));
  }
  set_options(fd.get());
  auto stream = std::make_unique<PosixStream>(port_, loop_, std::move(fd));
  CO_TRY_VOID(co_await async::with_deadline(loop_, deadline, stream->connected(to), what));
  co_return std::move(stream);
}

Result<std::unique_ptr<Listener>> PosixNetwork::listen(const Address& at) {
  TRY(Fd fd, listen_socket(at, kBacklog));
  return std::make_unique<PosixListener>(port_, loop_, std::move(fd));
}

// Open for writing too, so that there is always a writer, and a reader for who opens it next.
Result<std::unique_ptr<Stream>> PosixNetwork::open_pipe(const std::string& path) {
  TRY(Fd fd, own(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC), "open " + path));
  return std::make_unique<PosixStream>(port_, loop_, std::move(fd));
}

Result<Fd> listen_socket(const Address& at, int backlog, Binding binding) {
  return listener_at(at, backlog, binding, Sharing::alone);
}

Result<std::vector<Fd>> listen_group(const Address& at, int backlog, std::size_t size) {
  const Sharing sharing = size > 1 ? Sharing::group : Sharing::alone;
  std::vector<Fd> out;
  for (std::size_t i = 0; i < size; ++i) {
    TRY(Fd fd, listener_at(at, backlog, Binding::present, sharing));
    out.push_back(std::move(fd));
  }
  return out;
}

}  // namespace perigee::sys
