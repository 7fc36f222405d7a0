// Transaction: one request on its way through the phases of proxy.h: whose it is, where it goes,
// and what the log will say of it. Made by Proxy, seen by Reach and Attempts; lives as long as the
// request's handler.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "backhaul/load_view.h"
#include "http/client.h"
#include "http/upgrade.h"
#include "router/app_budgets.h"
#include "router/entrance.h"
#include "router/grpc.h"
#include "router/limits.h"
#include "router/replay.h"
#include "router/replay_body.h"
#include "router/state.h"

namespace perigee::router {

inline constexpr MonotonicTime kNever{std::numeric_limits<std::int64_t>::max()};

// Where a request is being taken: to its host's app, or to where a response had it replayed.
struct Leg {
  routing::RoutePtr route{};
  const model::Service* service = nullptr;  // of the route
  routing::Wish wish{};
  MachineId preferred{};         // by the client, which is told where it is another
  http::Headers fields{};        // that the router adds for the machine
  ReplayTransform changes{};     // that the replay asks for
  MonotonicTime until = kNever;  // a machine has to be found by then
};

struct Transaction {
  http::Request& request;
  http::ResponseWriter& response;
  ReplayBody body;
  MonotonicTime begun;
  Entrance entrance = Entrance::by_host;
  std::string host{};
  std::string client{};
  const model::Port* port = nullptr;  // that the client came to
  routing::RoutePtr owner{};          // holds it
  Leg leg{};
  AppBudgets::Share share{};  // of its own app's requests
  std::string machine{};
  std::string machine_node{};
  RegionCode machine_region{};
  std::string relay{};  // the node that the machine's was reached through
  std::string reason{};
  int status = 0;
  int attempts = 0;
  bool chosen_before = false;  // a machine was, for this request
  std::uint64_t bytes = 0;
  Duration upstream{};
  Duration head_patience = grpc::patience(request.head.headers, kUpstreamHead);
  std::string protocol{};  // that the client wants to change to; empty: none
  bool client_gone = false;
};

// A machine has answered: the head is there, the body still to come.
struct Reached {
  std::unique_ptr<http::Response> response{};
  std::optional<http::UpgradeAnswer> upgraded{};  // instead of `response`
  Loads::Slot slot{};                             // at a machine of this node
  backhaul::LoadView::Slot there{};               // at one of another

  const http::ResponseHead& head() const { return upgraded ? upgraded->head : response->head; }
};

}  // namespace perigee::router
