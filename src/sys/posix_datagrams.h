// PosixDatagrams: a UDP socket on an EpollPort. Private to sys; others see datagrams.h.
#pragma once

#include "sys/datagrams.h"
#include "sys/epoll_port.h"

namespace perigee::sys {

class PosixDatagrams : public Datagrams {
 public:
  PosixDatagrams(EpollPort& port, async::Loop& loop, Fd fd)
      : fd_(std::move(fd)), watch_(port, loop, fd_.get()) {}
  async::Task<Result<Received>> receive(std::span<char> into) override;
  Result<void> send(std::string_view data, const Address& to) override;
  Address local() const override;

 private:
  Fd fd_;  // before the watch: closed after it is gone
  FdWatch watch_;
};

}  // namespace perigee::sys
