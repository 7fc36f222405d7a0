// Proxy: the Handler that takes users' requests to machines. A request's phases, each a function:
//
//   find_owner → (redirect) → reach: choose, forward, try again → respond → log
//
// A request to change the protocol (WebSocket) takes the same way; once its machine has agreed, the
// connection's bytes are carried both ways unread.
// A gRPC call ends at its deadline at the latest, whatever it waits for.
// A machine of this node is reached directly, one of another through that node's router
// (backhaul::Client). A client that goes away ends its request wherever it is. The request path
// reads the current table and never asks control, but where the app's machines rest: then the Waker
// does, and the request waits for the routes to show one.
#pragma once

#include <expected>
#include <memory>
#include <set>
#include <string>

#include "backhaul/client.h"
#include "backhaul/load_feed.h"
#include "http/upgrade.h"
#include "router/access_log.h"
#include "router/candidates.h"
#include "router/entrance.h"
#include "router/error_page.h"
#include "router/limits.h"
#include "router/state.h"
#include "router/upstreams.h"
#include "router/waker.h"
#include "routing/choose.h"
#include "sys/host.h"

namespace perigee::router {

struct ProxySettings {
  std::string node;
  std::string region;
  std::string domain;  // "localhost": apps answer at <app>.<domain>
  int http_port = 80;  // as users see them, for redirects and X-Forwarded-Port
  int https_port = 443;
  Duration reach_bound = kReachBound;
  Duration wake_bound = kWakeBound;
};

class Proxy : public http::Handler {
 public:
  Proxy(sys::Host& host, State& state, Upstreams& machines, backhaul::Client& nodes,
        backhaul::LoadFeed& loads, Waker& waker, AccessLog& log, ProxySettings settings);
  // At a listener that all apps share.
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override;
  // At an address or port that is one app's alone.
  async::Task<void> handle_at_port(http::Request& request, http::ResponseWriter& response);

 private:
  struct Transaction;
  struct Reached;
  struct Search;
  using Phase = std::expected<void, Problem>;
  using Attempt = std::expected<Reached, backhaul::Failure>;

  async::Task<void> transact(http::Request& request, http::ResponseWriter& response,
                             Entrance entrance);
  async::Task<void> serve(Transaction& t);
  Phase find_owner(Transaction& t);
  async::Task<bool> redirect(Transaction& t);
  int listener_port(const Transaction& t) const;
  async::Task<std::expected<Reached, Problem>> reach(Transaction& t);
  routing::Decision choose(Transaction& t, Search& search);
  void follow_loads(const Search& search, const routing::Decision& decision);
  async::Task<std::optional<std::expected<Reached, Problem>>> attempt(Transaction& t,
                                                                      Search& search,
                                                                      model::RouteTarget target);
  async::Task<Attempt> attempt_here(Transaction& t, model::RouteTarget target,
                                    http::RequestHead head);
  async::Task<Attempt> attempt_there(Transaction& t, model::RouteTarget target,
                                     http::RequestHead head);
  async::Task<Attempt> attempt_upgrade(Transaction& t, model::RouteTarget target,
                                       http::RequestHead head);
  async::Task<backhaul::Connected> connect(Transaction& t, const model::RouteTarget& target,
                                           Reached& reached);
  async::Task<Attempt> machine_failed(backhaul::Answer answer);
  std::optional<Problem> judge_failure(Transaction& t, Search& search,
                                       const model::RouteTarget& target,
                                       const backhaul::Failure& failure);
  Problem unanswered(const Transaction& t, const model::RouteTarget& target,
                     const backhaul::Failure& failure) const;
  void prepare(Transaction& t, Search& search, const routing::Decision& decision);
  async::Task<void> pause(Search& search);
  Problem give_up(const Search& search, routing::Outcome outcome) const;
  async::Task<void> respond(Transaction& t, Reached reached);
  async::Task<void> respond_upgraded(Transaction& t, http::UpgradeAnswer answer);
  async::Task<void> answer(Transaction& t, Problem problem);
  async::Task<void> watch_client(Transaction& t);
  async::Task<void> serve_call(Transaction& t, Duration timeout);
  void finish(Transaction& t);

  sys::Host& host_;
  State& state_;
  Upstreams& machines_;
  backhaul::Client& nodes_;
  backhaul::LoadFeed& loads_;
  Waker& waker_;
  AccessLog& log_;
  ProxySettings settings_;
  Candidates candidates_;
};

}  // namespace perigee::router
