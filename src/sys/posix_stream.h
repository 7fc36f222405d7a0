// PosixStream, PosixListener, PosixNetwork: the Network of a real machine, on an EpollPort.
// Private to sys; others see network.h and posix_host.h.
#pragma once

#include <memory>

#include "sys/epoll_port.h"
#include "sys/network.h"

namespace perigee::sys {

// Sockets and pipes alike: read(2) and write(2), SIGPIPE ignored by the process.
class PosixStream : public Stream {
 public:
  PosixStream(EpollPort& port, async::Loop& loop, Fd fd);
  async::Task<Result<std::size_t>> read(std::span<char> into) override;
  async::Task<Result<void>> write(std::string_view data) override;
  Result<std::optional<std::size_t>> try_read(std::span<char> into) override;
  void when_readable(async::Waiter& waiter) override;
  Result<void> shutdown_write() override;
  Address peer() const override;
  Address local() const override;
  int fd() const { return fd_.get(); }
  // For who reads and writes the descriptor itself: wait after EAGAIN.
  FdWatch::Wait readable() { return watch_.readable(); }
  FdWatch::Wait writable() { return watch_.writable(); }
  async::Task<Result<void>> connected(Address to);  // after a connect that is in progress

 private:
  Fd fd_;  // before the watch: closed after it is gone
  FdWatch watch_;
  bool tcp_;
  bool drained_ = false;  // by the last read; until an edge comes there is nothing
};

class PosixListener : public Listener {
 public:
  PosixListener(EpollPort& port, async::Loop& loop, Fd fd);
  async::Task<Result<std::unique_ptr<Stream>>> accept() override;
  Address local() const override;
  int fd() const { return fd_.get(); }

 private:
  EpollPort& port_;
  async::Loop& loop_;
  Fd fd_;
  FdWatch watch_;
};

class PosixNetwork : public Network {
 public:
  PosixNetwork(EpollPort& port, async::Loop& loop) : port_(port), loop_(loop) {}
  async::Task<Result<std::unique_ptr<Stream>>> connect(Address to, Deadline deadline) override;
  Result<std::unique_ptr<Listener>> listen(const Address& at) override;
  Result<std::unique_ptr<Datagrams>> open_datagrams(const Address& at, Binding binding) override;
  Result<std::unique_ptr<Stream>> open_pipe(const std::string& path) override;

 private:
  EpollPort& port_;
  async::Loop& loop_;
};

}  // namespace perigee::sys
