// Proxy: the Handler that takes users' requests to machines. A request's phases, each a function:
//
//   find_owner → (redirect) → reach: choose, attempt, try again → (replay) → respond → log
//
// An authority's question (challenge_page.h) is answered before all of them.
// A request to change the protocol (WebSocket) takes the same way; once its machine has agreed, the
// connection's bytes are carried both ways unread.
// A gRPC call ends at its deadline at the latest, whatever it waits for.
// Reach (reach.h) finds the machine that takes the request; its answer may ask for another one
// (replaying.h). A client that goes away ends its request wherever it is.
#pragma once

#include <expected>
#include <string>

#include "backhaul/client.h"
#include "backhaul/load_feed.h"
#include "http/client_slots.h"
#include "router/access_log.h"
#include "router/attempt.h"
#include "router/error_page.h"
#include "router/limits.h"
#include "router/reach.h"
#include "router/replaying.h"
#include "router/state.h"
#include "router/transaction.h"
#include "router/upstreams.h"
#include "router/waker.h"
#include "sys/host.h"

namespace perigee::router {

struct ProxySettings {
  std::string node;
  std::string region;
  std::size_t requests_per_client = kMaxHttpPerClient;  // under way; programs of this host aside
  std::string domain;  // "localhost": apps answer at <app>.<domain>
  int http_port = 80;  // as users see them, for redirects and X-Forwarded-Port
  int https_port = 443;
  ReachBounds bounds{};
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
  using Phase = std::expected<void, Problem>;

  async::Task<void> transact(http::Request& request, http::ResponseWriter& response,
                             Entrance entrance);
  async::Task<void> serve(Transaction& t);
  Phase find_owner(Transaction& t);
  async::Task<void> answer_authority(Transaction& t, std::string page);
  async::Task<bool> redirect(Transaction& t);
  async::Task<void> reach_and_respond(Transaction& t);
  async::Task<Phase> replay(Transaction& t, Replaying& replaying, Reached& reached);
  http::ResponseHead head_for_client(const Transaction& t, const http::ResponseHead& head) const;
  async::Task<void> respond(Transaction& t, Reached& reached);
  async::Task<void> respond_whole(Transaction& t, http::ResponseHead head, http::Body& body);
  async::Task<void> respond_streamed(Transaction& t, http::ResponseHead head, http::Body& body);
  async::Task<void> respond_compressed(Transaction& t, http::ResponseHead head, http::Body& body);
  async::Task<void> respond_upgraded(Transaction& t, http::UpgradeAnswer& answer);
  async::Task<void> answer(Transaction& t, const Problem& problem);
  async::Task<void> watch_client(Transaction& t);
  async::Task<void> serve_call(Transaction& t, Duration timeout);
  void finish(Transaction& t);

  sys::Host& host_;
  State& state_;
  AccessLog& log_;
  ProxySettings settings_;
  http::ClientSlots clients_;  // by requests
  Attempts attempts_;
  Reach reach_;
};

}  // namespace perigee::router
