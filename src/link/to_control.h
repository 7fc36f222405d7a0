// ToControl serves control.sock where control runs elsewhere: this node's worker, router and link
// ask there as they would ask a control beside them, and are passed on to one that answers.
//
// All goes to one control as long as it answers. One that does not is left for the next within some
// seconds, by whatever it was asked: feeds that it still held open are cut, so that those who
// follow them come back, and are served by the next. Each call to control may be repeated
// (docs/formats/fleet.md).
#pragma once

#include <map>
#include <vector>

#include "async/event.h"
#include "link/outbound.h"

namespace perigee::link {

class ToControl : public Outbound {
 public:
  ToControl(async::Loop& loop, Members& members, api::LocalUsers users)
      : Outbound(loop, members, users), left_(loop) {}

 private:
  async::Task<Result<void>> pass_on(http::Request& request,
                                    http::ResponseWriter& response) override;
  async::Task<Relayed> attempt(NodeId control, const Carried& carried, Duration patience,
                               http::ResponseWriter& response);
  async::Task<void> until_left(NodeId control);
  // The controls in the order in which they are asked.
  std::vector<NodeId> in_turn() const;
  void leave(const NodeId& control);

  NodeId preferred_;  // the one in use; empty: any
  std::map<NodeId, int> departures_;
  async::Notify left_;
};

}  // namespace perigee::link
