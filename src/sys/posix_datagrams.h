// PosixDatagrams: a UDP socket on an EpollPort. Private to sys; others see datagrams.h.
//
// What goes out from an address that the socket is not bound to leaves by it where the port is its
// own, and else by a socket that is bound there and never read: its voice. Voices are kept, as an
// address that was answered from is soon answered from again.
#pragma once

#include <list>
#include <string>
#include <unordered_map>

#include "sys/datagrams.h"
#include "sys/epoll_port.h"

namespace perigee::sys {

class PosixDatagrams : public Datagrams {
 public:
  PosixDatagrams(EpollPort& port, async::Loop& loop, Fd fd);
  async::Task<Result<Received>> receive(std::span<char> into) override;
  Result<void> send(std::string_view data, const Address& to) override;
  Result<void> send_from(const Address& own, std::string_view data, const Address& to) override;
  Address local() const override { return local_; }

 private:
  struct Voice {
    std::string address;
    Fd fd;
  };
  Result<int> voice_of(const Address& own);

  Fd fd_;  // before the watch: closed after it is gone
  FdWatch watch_;
  Address local_;
  std::list<Voice> voices_;  // used last first, at most kMaxVoices
  std::unordered_map<std::string, std::list<Voice>::iterator> by_address_;
};

}  // namespace perigee::sys
