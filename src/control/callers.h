// Callers: who may use the internal API. This node's daemons, and those of nodes that have joined
// and whose certificate is the one that they were admitted with. One per control.
#pragma once

#include "api/caller.h"
#include "api/types.h"
#include "control/desired_table.h"

namespace perigee::control {

class Callers {
 public:
  Callers(const DesiredTable& desired, api::LocalUsers users) : desired_(desired), users_(users) {}

  // The object must outlive its guards.
  api::Guard daemons() const;
  api::Guard daemons_and_routers() const;
  // Control's own node alone.
  api::Guard local_daemons() const;
  // Controls of other nodes.
  api::Guard controls() const;
  // A node speaks for itself: `node` is the caller's, or the caller is of control's own node.
  Result<void> check_speaks_for(const http::Request& request, const NodeId& node) const;
  // A report on a node comes from that node, or from another control that was told.
  enum class Hand { first, second };
  Result<Hand> hand_of(const http::Request& report, const NodeId& node) const;

 private:
  Result<api::Caller> known(const http::Request& request) const;

  const DesiredTable& desired_;
  api::LocalUsers users_;
};

}  // namespace perigee::control
