// ToControl serves control.sock on each node of a fleet: its worker, router and link ask there, and
// are passed on to a control that answers. Where this node runs one itself, to that one, and to the
// others only as long as it does not answer.
//
// All goes to one control as long as it answers. One that does not is left for the next within some
// seconds, by whatever it was asked: feeds that it still held open are cut, so that those who
// follow them come back, and are served by the next. Each call to control may be repeated
// (docs/formats/fleet.md).
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "async/event.h"
#include "link/outbound.h"

namespace perigee::link {

// The control of this node, at a socket that nobody asks but its link.
struct OwnControl {
  NodeId node;
  sys::Address socket;
};

class ToControl : public Outbound {
 public:
  ToControl(sys::Host& host, Members& members, api::LocalUsers users,
            std::optional<OwnControl> own = {});
  // For ever: from others back to this node's own, once that answers again.
  async::Task<void> return_to_own();

 private:
  async::Task<Result<void>> pass_on(http::Request& request,
                                    http::ResponseWriter& response) override;
  async::Task<Relayed> attempt(NodeId control, const Carried& carried, Duration patience,
                               http::ResponseWriter& response);
  async::Task<Relayed> ask(NodeId control, const Carried& carried, Duration patience,
                           http::ResponseWriter& response);
  async::Task<bool> answers(NodeId control);
  async::Task<void> until_left(NodeId control);
  // The controls in the order in which they are asked.
  std::vector<NodeId> in_turn() const;
  void leave(const NodeId& control);
  void turn(const NodeId& from, const NodeId& to);
  bool is_own(const NodeId& control) const { return own_ && own_->node == control; }

  sys::Host& host_;
  std::optional<OwnControl> own_;
  http::Client client_;  // to that
  NodeId preferred_;     // the one in use; empty: any
  std::map<NodeId, int> departures_;
  async::Notify left_;
};

}  // namespace perigee::link
