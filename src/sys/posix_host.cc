#include "sys/posix_host.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "sys/posix_datagrams.h"
#include "sys/posix_disk.h"
#include "sys/posix_process.h"
#include "sys/posix_stream.h"

namespace perigee::sys {
namespace {

constexpr std::size_t kMaxPassedDescriptors = 16;

sigset_t set_of(const std::vector<int>& signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : signals) ::sigaddset(&set, number);
  return set;
}

class PosixClock : public Clock {
 public:
  WallTime wall() override {
    timespec t{};
    ::clock_gettime(CLOCK_REALTIME, &t);
    return {t.tv_sec * 1'000'000'000 + t.tv_nsec};
  }
};

class PosixEntropy : public Entropy {
 public:
  void fill(std::span<std::uint8_t> bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::getrandom(bytes.data(), bytes.size(), 0);
      PERIGEE_CHECK(n > 0 || errno == EINTR);
      if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }
};

}  // namespace

struct PosixHost::Parts {
  Parts(std::unique_ptr<EpollPort> epoll, std::size_t pool_threads)
      : port(std::move(epoll)),
        loop(*port),
        pool(pool_threads),
        network(*port, loop),
        disk(loop, pool),
        processes(*port, loop),
        host{loop, clock, entropy, network, disk, processes, pool} {}

  std::unique_ptr<EpollPort> port;
  async::Loop loop;
  PosixClock clock;
  PosixEntropy entropy;
  async::ThreadPool pool;
  PosixNetwork network;
  PosixDisk disk;
  PosixProcesses processes;
  Host host;
};

PosixHost::PosixHost() = default;
PosixHost::~PosixHost() = default;

Result<std::unique_ptr<PosixHost>> PosixHost::open(std::size_t pool_threads) {
  ::signal(SIGPIPE, SIG_IGN);
  TRY(std::unique_ptr<EpollPort> port, EpollPort::open());
  std::unique_ptr<PosixHost> host(new PosixHost());
  host->parts_ = std::make_unique<Parts>(std::move(port), pool_threads);
  return host;
}

async::Loop& PosixHost::loop() {
  return parts_->loop;
}
Host& PosixHost::host() {
  return parts_->host;
}
EpollPort& PosixHost::port() {
  return *parts_->port;
}

Result<std::unique_ptr<Listener>> PosixHost::adopt_listener(Fd fd) {
  TRY_VOID(set_nonblocking(fd.get()));
  TRY_VOID(set_cloexec(fd.get(), CloseOnExec::yes));
  return std::make_unique<PosixListener>(*parts_->port, parts_->loop, std::move(fd));
}

Result<std::unique_ptr<Stream>> PosixHost::adopt_stream(Fd fd) {
  TRY_VOID(set_nonblocking(fd.get()));
  TRY_VOID(set_cloexec(fd.get(), CloseOnExec::yes));
  return std::make_unique<PosixStream>(*parts_->port, parts_->loop, std::move(fd));
}

Result<std::unique_ptr<Datagrams>> PosixHost::adopt_datagrams(Fd fd) {
  TRY_VOID(set_nonblocking(fd.get()));
  TRY_VOID(set_cloexec(fd.get(), CloseOnExec::yes));
  return std::make_unique<PosixDatagrams>(*parts_->port, parts_->loop, std::move(fd));
}

void hold_signals(const std::vector<int>& signals) {
  const sigset_t set = set_of(signals);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

async::Task<int> PosixHost::wait_for_signal(std::vector<int> signals) {
  const sigset_t set = set_of(signals);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  PERIGEE_CHECK(fd.valid());
  FdWatch watch(*parts_->port, parts_->loop, fd.get());
  signalfd_siginfo info{};
  while (::read(fd.get(), &info, sizeof info) != sizeof info) co_await watch.readable();
  co_return static_cast<int>(info.ssi_signo);
}

Result<uid_t> peer_uid(const Stream& stream) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(descriptor(stream), SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) {
    return fail(errno_error(errno, "SO_PEERCRED"));
  }
  return credentials.uid;
}

Result<void> send_descriptors(int socket, std::string_view text, const std::vector<int>& fds) {
  PERIGEE_CHECK(fds.size() <= kMaxPassedDescriptors && !text.empty());
  iovec data{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxPassedDescriptors)> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
    return fail(errno_error(errno, "send descriptors"));
  }
  return {};
}

Result<Received> receive_descriptors(int socket, std::size_t max_text) {
  Received received;
  received.text.resize(max_text);
  iovec data{.iov_base = received.text.data(), .iov_len = max_text};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxPassedDescriptors)> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (n < 0) return fail(errno_error(errno, "receive descriptors"));
  received.text.resize(static_cast<std::size_t>(n));
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      received.fds.emplace_back(fd);
    }
  }
  return received;
}

int descriptor(const Stream& stream) {
  const auto* posix = dynamic_cast<const PosixStream*>(&stream);
  return posix == nullptr ? -1 : posix->fd();
}

int descriptor(const Listener& listener) {
  const auto* posix = dynamic_cast<const PosixListener*>(&listener);
  return posix == nullptr ? -1 : posix->fd();
}

}  // namespace perigee::sys
