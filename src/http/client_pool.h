// Pool: idle keep-alive connections by address, newest first. Private to http.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>

#include "async/loop.h"
#include "http/limits.h"
#include "sys/network.h"

namespace perigee::http {

class Pool {
 public:
  Pool(async::Loop& loop, ClientLimits limits) : loop_(loop), limits_(limits) {}
  // An idle connection on which the peer has neither closed nor spoken; null: none.
  std::unique_ptr<sys::Stream> take(const sys::Address& address);
  void put(const sys::Address& address, std::unique_ptr<sys::Stream> stream);
  void forget(const sys::Address& address);
  void expire();  // closes what has been idle for too long
  std::size_t size() const { return size_; }

 private:
  struct Idle {
    std::unique_ptr<sys::Stream> stream;
    MonotonicTime since;
  };
  async::Loop& loop_;
  ClientLimits limits_;
  std::unordered_map<sys::Address, std::deque<Idle>> idle_;  // oldest first
  std::size_t size_ = 0;
};

}  // namespace perigee::http
