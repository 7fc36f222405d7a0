// LoneSockets: what a router that runs alone listens on. Opened while it may bind low ports, or
// taken over from the process that it succeeds; handed on to its own successor. So a socket is the
// same one from the first process to the last, and nothing in its queue is lost.
//
// Where it has several threads, each address has a group of sockets, among which the kernel spreads
// connections and flows. A group keeps its size for as long as there is a successor.
//
// Owned by lone_router_main, longer than the router, which works on copies.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/router_config.h"
#include "router/router.h"
#include "sys/posix_host.h"

namespace perigee::bin {

class LoneSockets {
 public:
  // All that `config` lists: those that were handed over, and new ones. Others that were handed
  // over are closed.
  static Result<LoneSockets> open(const config::RouterConfig& config, std::size_t threads);

  // What thread `number` of so many listens on: each socket has a thread, and each thread one of
  // each group for TCP. A socket for UDP is one thread's alone, so that a flow stays with it.
  Result<router::Listeners> listeners(sys::PosixHost& host, std::size_t number,
                                      std::size_t threads) const;
  // Has the program find all of them.
  void pass_to(sys::Spawn& spawn) const;

 private:
  enum class Kind { http, https, tcp, udp };
  struct Group {
    Kind kind;
    std::string name;  // "http 127.0.0.1:80"
    std::vector<sys::Fd> sockets;
  };
  std::vector<Group> groups_;
};

}  // namespace perigee::bin
