// The public API's nodes: /v1/nodes and below, and GET /healthz, which needs no token.
//
// A cordoned node takes no new machines. One that drains has its machines replaced elsewhere by
// ScaleReconciler; what can't move (volumes, one-off machines) stays until it is stopped. One that
// is drained or lost can be removed; what the fleet knew of it goes with it.
#pragma once

#include "api/route_table.h"
#include "control/context.h"
#include "control/node_rooms.h"

namespace perigee::control {

class NodeApi {
 public:
  explicit NodeApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  using Node = Stored<NodeRecord>;

  async::Task<Result<api::Reply>> list();
  async::Task<Result<api::Reply>> show(api::Call& call);
  async::Task<Result<api::Reply>> cordon(api::Call& call);
  async::Task<Result<api::Reply>> uncordon(api::Call& call);
  async::Task<Result<api::Reply>> drain(api::Call& call);
  async::Task<Result<api::Reply>> rotate_key(api::Call& call);
  async::Task<Result<api::Reply>> remove(api::Call& call);
  async::Task<Result<api::Reply>> health();

  Result<std::pair<NodeId, Node>> find(const api::Call& call) const;
  json::Value view(const NodeId& id, const NodeRecord& record,
                   const std::vector<NodeRoom>& rooms) const;
  json::Value full_view(const NodeId& id, const NodeRecord& record) const;
  async::Task<Result<void>> replace(NodeId id, Node stored, NodeRecord next);
  async::Task<Result<void>> stop_what_stays(NodeId id);

  const Context& context_;
};

}  // namespace perigee::control
