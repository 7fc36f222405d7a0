// What leaves this node. ToNodes serves link.sock: control's own calls to workers and controls on
// other nodes. What this node asks of control is in to_control.h.
#pragma once

#include "api/caller.h"
#include "http/message.h"
#include "link/members.h"
#include "link/relay.h"

namespace perigee::link {

// What both have in common.
class Outbound : public http::Handler {
 public:
  Outbound(async::Loop& loop, Members& members, api::LocalUsers users)
      : loop_(loop), members_(members), users_(users) {}
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override;

 protected:
  virtual async::Task<Result<void>> pass_on(http::Request& request,
                                            http::ResponseWriter& response) = 0;

  async::Loop& loop_;
  Members& members_;
  api::LocalUsers users_;
};

class ToNodes : public Outbound {
 public:
  using Outbound::Outbound;

 private:
  async::Task<Result<void>> pass_on(http::Request& request,
                                    http::ResponseWriter& response) override;
};

// At each of a node's addresses once, the one that answered last first.
async::Task<Relayed> relay_to(async::Loop& loop, Peer& peer, const Carried& carried,
                              Duration patience, http::ResponseWriter& response);

// {"error": …} with the error's status, unless something was answered already.
async::Task<void> answer_error(const http::Request& request, http::ResponseWriter& response,
                               Error error);
// The same with kNotReachedHeader: the caller's link may ask another node.
async::Task<void> answer_not_reached(const http::Request& request, http::ResponseWriter& response,
                                     Error error);

}  // namespace perigee::link
