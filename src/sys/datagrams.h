// Datagrams: a UDP socket, as an interface. Network::open_datagrams() opens one.
#pragma once

#include <span>
#include <string_view>

#include "async/task.h"
#include "base/result.h"
#include "sys/address.h"

namespace perigee::sys {

class Datagrams {
 public:
  virtual ~Datagrams() = default;
  struct Received {
    std::size_t size = 0;  // of what fits into the buffer
    Address from;
    // The address of ours that it was sent to, where the socket may have more than one: its own
    // otherwise.
    Address to;
  };
  virtual async::Task<Result<Received>> receive(std::span<char> into) = 0;
  // Never waits: where there is no room now the datagram is lost, as it may be on its way.
  virtual Result<void> send(std::string_view data, const Address& to) = 0;
  // The same from an address of ours to which the socket is not bound, as `Received::to` had it.
  virtual Result<void> send_from(const Address& own, std::string_view data, const Address& to) = 0;
  virtual Address local() const = 0;
};

}  // namespace perigee::sys
