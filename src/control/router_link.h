// RouterLink: control's questions to routers: to its own node's over router.sock, to others' over
// link.sock, which carries them there.
#pragma once

#include <string>

#include "http/client.h"
#include "json/json.h"
#include "model/types.h"
#include "sys/host.h"

namespace perigee::control {

class RouterLink {
 public:
  struct Sockets {
    NodeId own;          // the node that control runs on
    std::string router;  // its router.sock
    std::string link;    // its link.sock
  };
  RouterLink(sys::Host& host, Sockets sockets)
      : host_(host), sockets_(std::move(sockets)), client_(host, {}) {}

  // `target`: "/internal/v1/explain…". not_found where that router has nothing to say of it.
  async::Task<Result<json::Value>> ask(NodeId node, std::string target, http::Headers headers);

 private:
  sys::Host& host_;
  Sockets sockets_;
  http::Client client_;
};

}  // namespace perigee::control
