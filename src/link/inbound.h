// Inbound: what other nodes ask of this one, on port 4281. A caller is who its certificate says,
// if the fleet knows that certificate to be its own; a caller without one may join, and nothing
// else. Calls to control go to own-control.sock with the caller's identity in headers that root
// alone may send; calls to worker and router go to their sockets, from nodes with control alone.
#pragma once

#include "api/caller.h"
#include "http/client.h"
#include "http/message.h"
#include "link/members.h"
#include "link/relay.h"

namespace perigee::link {

class Inbound : public http::Handler {
 public:
  struct Sockets {
    std::optional<sys::Address> control;  // where this node runs it
    std::optional<sys::Address> worker;
    std::optional<sys::Address> router;
  };
  Inbound(sys::Host& host, const Members& members, NodeId self, Sockets sockets)
      : host_(host),
        members_(members),
        self_(std::move(self)),
        sockets_(std::move(sockets)),
        client_(host, {}) {}
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override;

 private:
  async::Task<Result<void>> pass_on(http::Request& request, http::ResponseWriter& response);
  Result<sys::Address> destination(const http::Request& request) const;

  sys::Host& host_;
  const Members& members_;
  NodeId self_;
  Sockets sockets_;
  http::Client client_;
};

}  // namespace perigee::link
