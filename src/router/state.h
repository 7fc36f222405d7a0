// What the router's parts share on its one thread: the current table, requests in flight per
// machine, counters.
#pragma once

#include <cstdint>
#include <memory>

#include "async/event.h"
#include "backhaul/load_view.h"
#include "http2/refusals.h"
#include "router/admission_queue.h"
#include "router/app_budgets.h"
#include "router/datagram_counters.h"
#include "router/decisions.h"
#include "router/loads.h"
#include "router/outliers.h"
#include "router/tcp_counters.h"
#include "routing/route_table.h"

namespace perigee::router {

struct Counters {
  std::uint64_t requests = 0;
  std::uint64_t informational_or_ok = 0;  // below 400
  std::uint64_t client_errors = 0;        // 4xx, whoever gave them
  std::uint64_t server_errors = 0;        // 5xx, whoever gave them
  std::uint64_t router_errors = 0;        // answered by an error page of ours
  std::uint64_t clients_gone = 0;
  std::uint64_t connect_failures = 0;
  std::uint64_t repeats = 0;
  std::uint64_t queued = 0;             // requests and connections that waited for a place
  std::uint64_t replays = 0;            // taken elsewhere because a response said so
  std::uint64_t compressed = 0;         // responses
  std::uint64_t wakes = 0;              // calls to control to start a machine
  std::uint64_t backhaul_requests = 0;  // from other nodes' routers
  std::uint64_t relayed = 0;            // of them, for machines of a third node
  std::uint64_t refusals = 0;           // of them, which went back to look further
  std::uint64_t log_lines_dropped = 0;
  std::uint64_t feed_connects = 0;
};

struct State {
  // `occupancy`: that of all routers of this process.
  explicit State(async::Loop& loop,
                 std::shared_ptr<Occupancy> occupancy = std::make_shared<Occupancy>())
      : changed(loop), queue(loop), loads(std::move(occupancy)) {}
  routing::TablePtr table = std::make_shared<const routing::RouteTable>();
  async::Notify changed;  // a new table
  AppBudgets budgets;
  AdmissionQueue queue;
  Outliers outliers;
  Loads loads;                      // at this node's machines
  backhaul::LoadView remote_loads;  // at those of other nodes, which their routers tell
  Decisions decisions;              // for `perigee explain`
  Counters counters;
  http2::Refusals http2;  // of users' connections and streams
  DatagramCounters datagrams;
  TcpCounters tcp;
  std::uint64_t turn = 0;  // breaks ties
  bool feed_connected = false;
  bool from_disk = false;  // the table is the one that was saved
};

}  // namespace perigee::router
