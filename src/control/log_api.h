// The public API's logs: GET /v1/apps/{app}/logs as server-sent events: the last lines of the app's
// machines in order of time, then, followed, what they write. Query:
//
//   tail=N               so many past lines, of those that match (100)
//   follow=1             then what comes
//   machine=ID, region=  only these
//   search=TEXT          lines that hold it, byte for byte
//   stream=stdout|stderr|system
//   since=10m            no older than that
//
// Machines that are gone are read along, while their node keeps their output. The filters run on
// the nodes, where the lines are.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class LogApi {
 public:
  explicit LogApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<void>> logs(api::Call& call, http::ResponseWriter& response);

  const Context& context_;
};

}  // namespace perigee::control
