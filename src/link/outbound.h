// What leaves this node. ToControl serves control.sock where control runs elsewhere: this node's
// worker, router and link ask there as they would ask a control beside them, and are passed on to
// one that answers. ToNodes serves link.sock: control's own calls to workers and controls on other
// nodes.
#pragma once

#include "api/caller.h"
#include "http/message.h"
#include "link/members.h"

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

class ToControl : public Outbound {
 public:
  using Outbound::Outbound;

 private:
  async::Task<Result<void>> pass_on(http::Request& request,
                                    http::ResponseWriter& response) override;

  std::size_t preferred_ = 0;  // of the control nodes: the one that answered last
};

class ToNodes : public Outbound {
 public:
  using Outbound::Outbound;

 private:
  async::Task<Result<void>> pass_on(http::Request& request,
                                    http::ResponseWriter& response) override;
};

// {"error": …} with the error's status, unless something was answered already.
async::Task<void> answer_error(const http::Request& request, http::ResponseWriter& response,
                               Error error);

}  // namespace perigee::link
