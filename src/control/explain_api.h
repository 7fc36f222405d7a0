// GET /v1/apps/{app}/explain: why a request went to its machine (`request=ID`), or where one from
// somewhere would go now (`from=REGION` or a node, with the wishes of this call's own headers). The
// routers know; control asks them.
#pragma once

#include <string>
#include <vector>

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class ExplainApi {
 public:
  explicit ExplainApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  struct RouterAt {
    NodeId node;
    RegionCode region;
  };
  async::Task<Result<api::Reply>> explain(api::Call& call);
  async::Task<Result<json::Value>> find_request(std::string id);
  std::vector<RouterAt> routers() const;
  Result<RouterAt> router_at(const std::string& from) const;

  const Context& context_;
};

}  // namespace perigee::control
