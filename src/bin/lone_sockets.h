// LoneSockets: what a router that runs alone listens on. Opened while it may bind low ports, or
// taken over from the process that it succeeds; handed on to its own successor. So a socket is the
// same one from the first process to the last, and nothing in its queue is lost.
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
  static Result<LoneSockets> open(const config::RouterConfig& config);

  Result<router::Listeners> listeners(sys::PosixHost& host) const;
  // Has the program find all of them.
  void pass_to(sys::Spawn& spawn) const;

 private:
  enum class Kind { http, https, tcp, udp };
  struct Socket {
    Kind kind;
    std::string name;  // "http 127.0.0.1:80"
    sys::Fd fd;
  };
  std::vector<Socket> sockets_;
};

}  // namespace perigee::bin
