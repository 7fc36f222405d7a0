#include "router/proxy.h"

#include <algorithm>
#include <array>
#include <vector>

#include "async/combine.h"
#include "backhaul/splice.h"
#include "crypto/hash.h"
#include "http/trailers.h"
#include "http2/fields.h"
#include "router/body_stream.h"
#include "router/forwarding.h"
#include "router/grpc.h"
#include "router/replay_body.h"

namespace perigee::router {
namespace {

async::Task<void> wait_for_table(async::Notify& changed) {
  co_await changed.wait();
}
async::Task<void> sleep_for(async::Loop& loop, Duration time) {
  co_await loop.sleep(time);
}

bool repeatable(const http::Request& request) {
  const std::string& method = request.head.method;
  return (method == "GET" || method == "HEAD" || method == "OPTIONS") &&
         request.body.length() == std::uint64_t{0};
}

}  // namespace

// One request on its way.
struct Proxy::Transaction {
  http::Request& request;
  http::ResponseWriter& response;
  ReplayBody body;
  MonotonicTime begun;
  Entrance entrance = Entrance::by_host;
  std::string host{};
  std::string client{};
  routing::RoutePtr route{};
  const model::Service* service = nullptr;
  const model::Port* port = nullptr;
  std::string machine{};
  std::string machine_node{};
  std::string relay{};  // the node that the machine's was reached through
  std::string reason{};
  int status = 0;
  int attempts = 0;
  std::uint64_t bytes = 0;
  Duration upstream{};
  Duration head_patience = grpc::patience(request.head.headers, kUpstreamHead);
  std::string protocol{};  // that the client wants to change to; empty: none
  bool client_gone = false;
};

struct Proxy::Reached {
  std::unique_ptr<http::Response> response{};
  std::optional<http::UpgradeAnswer> upgraded{};  // instead of `response`
  Loads::Slot slot{};                             // at a machine of this node
  backhaul::LoadView::Slot there{};               // at one of another
};

// The search for a machine that takes the request.
struct Proxy::Search {
  MonotonicTime begun;
  MonotonicTime until;
  Duration pause = kFirstRetryPause;
  routing::Wish wish{};
  std::set<std::string> refused{};
  int repeats = 0;
  std::optional<Problem> last_failure{};
  std::string trouble{};  // why no machine could be started
  std::vector<routing::Candidate> candidates{};
  routing::RoutePtr route{};  // holds what the candidates point to
};

Proxy::Proxy(sys::Host& host, State& state, Upstreams& machines, backhaul::Client& nodes,
             backhaul::LoadFeed& loads, Waker& waker, AccessLog& log, ProxySettings settings)
    : host_(host),
      state_(state),
      machines_(machines),
      nodes_(nodes),
      loads_(loads),
      waker_(waker),
      log_(log),
      settings_(std::move(settings)),
      candidates_(state, nodes, settings_.node) {}

async::Task<void> Proxy::handle(http::Request& request, http::ResponseWriter& response) {
  return transact(request, response, Entrance::by_host);
}

async::Task<void> Proxy::handle_at_port(http::Request& request, http::ResponseWriter& response) {
  return transact(request, response, Entrance::by_port);
}

async::Task<void> Proxy::transact(http::Request& request, http::ResponseWriter& response,
                                  Entrance entrance) {
  ++state_.counters.requests;
  Transaction t{.request = request,
                .response = response,
                .body = ReplayBody(request.body),
                .begun = host_.loop.now(),
                .entrance = entrance};
  t.client = request.peer.host();
  t.protocol = http::requested_protocol(request.head);
  const auto timeout = http2::is_grpc(request.head.headers) ? grpc::timeout(request.head.headers)
                                                            : std::optional<Duration>();
  if (timeout) {
    co_await serve_call(t, *timeout);
  } else if (t.protocol.empty()) {
    co_await async::first_of(host_.loop, serve(t), watch_client(t));
  } else {
    co_await serve(t);  // what comes from the client may be of the new protocol already
  }
  finish(t);
}

// What has begun by then is cut, as the client's own deadline does it.
async::Task<void> Proxy::serve_call(Transaction& t, Duration timeout) {
  const auto ended = co_await async::until(host_.loop, host_.loop.now() + timeout,
                                           async::first_of(host_.loop, serve(t), watch_client(t)));
  if (ended) co_return;
  t.reason = kDeadlineCode;
  if (t.response.started()) co_return;
  co_await answer(t, {.status = 504,
                      .code = std::string(kDeadlineCode),
                      .reason = "The call's grpc-timeout has passed."});
}

async::Task<void> Proxy::serve(Transaction& t) {
  if (const Phase found = find_owner(t); !found) co_return co_await answer(t, found.error());
  if (co_await redirect(t)) co_return;
  auto reached = co_await reach(t);
  if (!reached) co_return co_await answer(t, std::move(reached).error());
  co_await respond(t, *std::move(reached));
}

Proxy::Phase Proxy::find_owner(Transaction& t) {
  t.host = host_of(t.request);
  const FoundOwner found = t.entrance == Entrance::by_port
                               ? find_by_port(*state_.table, t.request)
                               : find_by_host(*state_.table, t.request, settings_.domain);
  if (!found) return std::unexpected(found.error());
  t.route = found->route;
  t.service = found->service;
  t.port = found->port;
  if (backend_of(*t.service) == Backend::http2) t.protocol.clear();  // it has no Upgrade
  return {};
}

// force_https: 301, or 308 where the method must stay. True: answered.
async::Task<bool> Proxy::redirect(Transaction& t) {
  if (!t.port->force_https || t.request.tls) co_return false;
  const std::string& method = t.request.head.method;
  http::ResponseHead head{.status = method == "GET" || method == "HEAD" ? 301 : 308};
  const bool usual = t.entrance == Entrance::by_port || settings_.https_port == kHttpsServicePort;
  const std::string port = usual ? "" : fmt::format(":{}", settings_.https_port);
  head.headers.add("Location", fmt::format("https://{}{}{}", t.host, port, t.request.head.target));
  head.headers.add("perigee-request-id", t.request.request_id);
  t.status = head.status;
  t.reason = "force_https";
  std::ignore = co_await t.response.send(std::move(head), {});
  co_return true;
}

int Proxy::listener_port(const Transaction& t) const {
  if (t.entrance == Entrance::by_port) return t.request.local.port();
  return t.request.tls ? settings_.https_port : settings_.http_port;
}

// Finds a machine that takes the request: another one, or later, while nothing can have been acted
// on, within kReachBound; within kWakeBound while one is being started for it.
async::Task<std::expected<Proxy::Reached, Problem>> Proxy::reach(Transaction& t) {
  const MonotonicTime now = host_.loop.now();
  Search search{
      .begun = now, .until = now + settings_.reach_bound, .wish = wish_of(t.request.head.headers)};
  for (;;) {
    const routing::Decision decision = choose(t, search);
    prepare(t, search, decision);
    if (decision.outcome == routing::Outcome::chosen) {
      auto done = co_await attempt(t, search, *search.candidates[*decision.index].target);
      if (done) co_return *std::move(done);
      if (host_.loop.now() < search.until) continue;
    }
    const bool may_wait = decision.outcome == routing::Outcome::wait ||
                          decision.outcome == routing::Outcome::none_reachable;
    if (!may_wait || host_.loop.now() >= search.until) {
      co_return std::unexpected(give_up(search, decision.outcome));
    }
    co_await pause(search);
  }
}

// By the newest table: it may have changed since the request came.
routing::Decision Proxy::choose(Transaction& t, Search& search) {
  search.route = state_.table->find_app(t.route->app.str());
  search.candidates.clear();
  if (search.route) {
    search.candidates = candidates_.of(*search.route, search.wish, search.refused);
  }
  const routing::Policy policy = routing::Policy::of(t.service->concurrency);
  const routing::Decision decision = routing::choose(search.candidates, policy, state_.turn++);
  state_.decisions.remember({.request_id = t.request.request_id,
                             .at = host_.clock.wall(),
                             .host = t.host,
                             .route = search.route,
                             .candidates = search.candidates,
                             .policy = policy,
                             .decision = decision,
                             .attempt = t.attempts + 1});
  follow_loads(search, decision);
  return decision;
}

// Where this node's own machines don't do, the nearest others' loads are followed, so that the next
// choices know them.
void Proxy::follow_loads(const Search& search, const routing::Decision& decision) {
  std::vector<std::pair<Duration, const std::string*>> nodes;
  if (decision.outcome != routing::Outcome::chosen) return;
  if (search.candidates[*decision.index].target->node.str() == settings_.node) return;
  for (const routing::Candidate& each : search.candidates) {
    const std::string& node = each.target->node.str();
    if (each.reachable && node != settings_.node) nodes.emplace_back(each.rtt, &node);
  }
  const auto count = std::min<std::size_t>(nodes.size(), kFollowedLoads);
  const auto end = nodes.begin() + static_cast<std::ptrdiff_t>(count);
  std::ranges::partial_sort(nodes, end, {}, &std::pair<Duration, const std::string*>::first);
  for (auto each = nodes.begin(); each != end; ++each) loads_.follow(*each->second);
}

// Has a machine started where that is due, and gives the one that comes its time.
void Proxy::prepare(Transaction& t, Search& search, const routing::Decision& decision) {
  const std::string& app = t.route->app.str();
  if (decision.wake) waker_.ask(app);
  if (decision.coming && t.service->autostart)
    search.until = search.begun + std::max(settings_.reach_bound, settings_.wake_bound);
  if (decision.outcome != routing::Outcome::wait || !decision.wake) return;
  const auto trouble = waker_.trouble(app);
  if (!trouble) return;
  search.trouble = trouble->reason;
  if (trouble->refused) search.until = host_.loop.now();
}

// One machine. Nullopt: it did not take the request; look further.
async::Task<std::optional<std::expected<Proxy::Reached, Problem>>> Proxy::attempt(
    Transaction& t, Search& search, model::RouteTarget target) {
  t.machine = target.machine.str();
  t.machine_node = target.node.str();
  t.relay.clear();
  ++t.attempts;
  const Hop hop{.client_ip = t.client,
                .request_id = t.request.request_id,
                .region = settings_.region,
                .listener_port = listener_port(t),
                .tls = t.request.tls};
  http::RequestHead head = upstream_request(t.request.head, hop);
  const MonotonicTime begun = host_.loop.now();
  std::optional<Attempt> tried;
  if (!t.protocol.empty()) {
    tried = co_await attempt_upgrade(t, target, std::move(head));
  } else if (t.machine_node == settings_.node) {
    tried = co_await attempt_here(t, target, std::move(head));
  } else {
    tried = co_await attempt_there(t, target, std::move(head));
  }
  Attempt& done = *tried;
  t.upstream = host_.loop.now() - begun;
  if (done) {
    t.body.forget();
    co_return *std::move(done);
  }
  if (auto problem = judge_failure(t, search, target, done.error())) {
    co_return std::unexpected(*std::move(problem));
  }
  co_return std::nullopt;
}

async::Task<Proxy::Attempt> Proxy::attempt_here(Transaction& t, model::RouteTarget target,
                                                http::RequestHead head) {
  const auto address =
      sys::Address::ip(target.address, static_cast<std::uint16_t>(t.service->internal_port));
  if (!address) {
    co_return std::unexpected(backhaul::Failure{.request = {.error = address.error()}});
  }
  Loads::Slot slot(state_.loads, t.machine);
  auto response = co_await machines_.forward(*address, backend_of(*t.service), std::move(head),
                                             &t.body, host_.loop.deadline_in(t.head_patience));
  if (!response) {
    co_return std::unexpected(backhaul::Failure{.request = std::move(response).error()});
  }
  co_return Reached{.response = *std::move(response), .slot = std::move(slot)};
}

async::Task<Proxy::Attempt> Proxy::attempt_there(Transaction& t, model::RouteTarget target,
                                                 http::RequestHead head) {
  backhaul::LoadView::Slot slot(state_.remote_loads, t.machine);
  backhaul::Hop hop{.app = t.route->app.str(),
                    .machine = t.machine,
                    .node = target.node.str(),
                    .port = t.service->internal_port};
  t.body.record();
  auto answer = co_await nodes_.forward(std::move(hop), std::move(head), &t.body,
                                        host_.loop.deadline_in(t.head_patience));
  backhaul::Told& told = answer ? answer->told : answer.error().told;
  t.relay = told.relay;
  if (!answer) co_return std::unexpected(std::move(answer).error());
  if (!answer->told.failure.empty()) co_return co_await machine_failed(*std::move(answer));
  co_return Reached{.response = std::move(answer->response), .there = std::move(slot)};
}

// On a connection of its own, through a tunnel where the machine is elsewhere.
async::Task<Proxy::Attempt> Proxy::attempt_upgrade(Transaction& t, model::RouteTarget target,
                                                   http::RequestHead head) {
  Reached reached;
  auto stream = co_await connect(t, target, reached);
  if (!stream) co_return std::unexpected(std::move(stream).error());
  head.headers.set("Upgrade", t.protocol);
  if (head.headers.find("sec-websocket-key") == nullptr) {  // HTTP/2 has none (RFC 8441)
    head.headers.set("Sec-WebSocket-Key", crypto::base64_encode(sys::random_hex(host_.entropy, 8)));
  }
  auto answer = co_await http::upgrade(host_.loop, *std::move(stream), std::move(head),
                                       host_.loop.deadline_in(kUpstreamHead));
  if (!answer) {
    co_return std::unexpected(
        backhaul::Failure{.request = {.error = std::move(answer).error(), .sent = true}});
  }
  reached.upgraded = *std::move(answer);
  co_return reached;
}

async::Task<backhaul::Connected> Proxy::connect(Transaction& t, const model::RouteTarget& target,
                                                Reached& reached) {
  const Deadline deadline = host_.loop.deadline_in(kConnectTimeout);
  if (t.machine_node != settings_.node) {
    reached.there = backhaul::LoadView::Slot(state_.remote_loads, t.machine);
    co_return co_await nodes_.connect({.hop = {.app = t.route->app.str(),
                                               .machine = t.machine,
                                               .node = t.machine_node,
                                               .port = t.service->internal_port},
                                       .client = t.request.peer,
                                       .listener_port = listener_port(t),
                                       .request_id = t.request.request_id},
                                      deadline);
  }
  reached.slot = Loads::Slot(state_.loads, t.machine);
  const auto address =
      sys::Address::ip(target.address, static_cast<std::uint16_t>(t.service->internal_port));
  auto stream = address ? co_await host_.network.connect(*address, deadline)
                        : Result<std::unique_ptr<sys::Stream>>(fail(address.error()));
  if (stream) co_return *std::move(stream);
  co_return std::unexpected(backhaul::Failure{.request = {.error = std::move(stream).error()}});
}

// The other node's router sent the request to its machine, and had no answer to give.
async::Task<Proxy::Attempt> Proxy::machine_failed(backhaul::Answer answer) {
  auto text = co_await async::with_deadline(
      host_.loop, host_.loop.deadline_in(kUpstreamIdle),
      http::read_all(answer.response->body(), kMaxFailureText), "failure");
  const std::string& name = answer.told.failure;
  const bool late = name == info(Code::deadline_exceeded).name;
  const bool cut = name == info(Code::end_of_stream).name || name == info(Code::unavailable).name;
  const Code code = late ? Code::deadline_exceeded : cut ? Code::end_of_stream : Code::data_loss;
  co_return std::unexpected(
      backhaul::Failure{.request = {.error = Error::make(code, text.value_or(name)), .sent = true},
                        .told = std::move(answer.told)});
}

// Nullopt where another attempt is allowed.
std::optional<Problem> Proxy::judge_failure(Transaction& t, Search& search,
                                            const model::RouteTarget& target,
                                            const backhaul::Failure& failure) {
  const Code code = failure.request.error.code;
  if (failure.request.from_body) {
    const bool slow = code == Code::deadline_exceeded;
    return Problem{
        .status = slow ? 408 : 400,
        .code = "request_body",
        .reason = "The request's body could not be read: " + failure.request.error.context};
  }
  const bool cut = code == Code::end_of_stream || code == Code::unavailable;
  const bool repeat =
      failure.request.sent && cut && repeatable(t.request) && search.repeats++ < kMaxRepeats;
  const Problem problem = unanswered(t, target, failure);
  if (failure.request.sent && !repeat) return problem;
  // The time that the machine had it is none of the search's: a node that is silent is given up
  // after as long as a search may take (backhaul::kDead).
  if (repeat) search.until = std::max(search.until, host_.loop.now() + settings_.reach_bound);
  ++(repeat ? state_.counters.repeats : state_.counters.connect_failures);
  search.refused.insert(target.machine.str());
  search.last_failure = problem;
  if (!t.body.rewind()) return problem;
  return std::nullopt;
}

// What the client is told where nothing better comes.
Problem Proxy::unanswered(const Transaction& t, const model::RouteTarget& target,
                          const backhaul::Failure& failure) const {
  const Error& error = failure.request.error;
  const bool late = error.code == Code::deadline_exceeded;
  const std::string where = t.machine_node == settings_.node
                                ? std::string()
                                : fmt::format(" (machine {} on node {})", t.machine, target.node);
  if (failure.request.sent) {
    return {.status = late ? 504 : 502,
            .code = late ? "upstream_timeout" : "upstream_failed",
            .reason =
                late ? fmt::format("The app did not answer within {} s{}.",
                                   to_ms(kUpstreamHead) / 1000, where)
                     : fmt::format("The app did not answer properly{}: {}", where, error.context)};
  }
  const auto refusal = failure.told.refusal;
  if (refusal == backhaul::Refusal::at_limit) {
    return {.status = 503,
            .code = "at_hard_limit",
            .reason = fmt::format("The app can't answer now: {}.", error.context),
            .retry_soon = true};
  }
  const bool here = where.empty() || refusal == backhaul::Refusal::not_listening;
  if (here) {
    return {
        .status = late ? 504 : 502,
        .code = late ? "upstream_timeout" : "upstream_refused",
        .reason = fmt::format("The app's machine does not accept connections on port {} ({}). "
                              "The app must listen on 0.0.0.0:{}.",
                              t.service->internal_port, error.context, t.service->internal_port),
        .retry_soon = true};
  }
  return {.status = 502,
          .code = "node_unreachable",
          .reason = fmt::format("The app's machine could not be reached: {}.", error.context),
          .retry_soon = true};
}

// Until the routes change, or a little time has passed; then machines that refused count again.
async::Task<void> Proxy::pause(Search& search) {
  const Duration left = search.until - host_.loop.now();
  co_await async::first_of(host_.loop, sleep_for(host_.loop, std::min(search.pause, left)),
                           wait_for_table(state_.changed));
  search.pause = std::min(search.pause * 2, kLastRetryPause);
  search.refused.clear();
}

Problem Proxy::give_up(const Search& search, routing::Outcome outcome) const {
  if (search.last_failure) return *search.last_failure;
  if (!search.trouble.empty()) {
    return {.status = 503,
            .code = "wake_failed",
            .reason = "The app's machines rest, and none could be started: " + search.trouble,
            .retry_soon = true};
  }
  std::string reason = fmt::format("The app can't answer now: {}.", routing::describe(outcome));
  const bool explained = search.route != nullptr && !search.route->reason.empty();
  if (outcome != routing::Outcome::all_at_limit && explained) reason += " " + search.route->reason;
  const char* code = outcome == routing::Outcome::all_at_limit ? "at_hard_limit" : "no_machine";
  return {.status = 503, .code = code, .reason = std::move(reason), .retry_soon = true};
}

async::Task<void> Proxy::respond_upgraded(Transaction& t, http::UpgradeAnswer answer) {
  http::ResponseHead head = downstream_response(answer.head, t.request.request_id);
  t.status = head.status;
  if (!answer.stream) {  // the machine stays with HTTP
    t.bytes = answer.body.size();
    std::ignore = co_await t.response.send(std::move(head), std::move(answer.body));
    co_return;
  }
  const std::string* agreed = answer.head.headers.find("upgrade");
  const auto client = co_await t.response.switch_protocols(agreed == nullptr ? t.protocol : *agreed,
                                                           std::move(head.headers));
  if (!client) {
    t.reason = client.error().context;
    co_return;
  }
  backhaul::Traffic traffic;
  co_await backhaul::splice(host_.loop, **client, *answer.stream, traffic);
  t.bytes = traffic.to_near;
}

async::Task<void> Proxy::respond(Transaction& t, Reached reached) {
  if (reached.upgraded) {
    co_return co_await respond_upgraded(t, *std::move(reached.upgraded));
  }
  http::Response& upstream = *reached.response;
  http::Body& body = upstream.body();
  http::ResponseHead head = downstream_response(upstream.head, t.request.request_id);
  t.status = head.status;
  const std::size_t ready = body.ready();
  const bool bodiless = t.request.head.method == "HEAD" || head.status == 204 || head.status == 304;
  const bool may_trail = ready > 0 && http::takes_trailers(t.request.head.headers);
  if (!bodiless && body.length() == std::uint64_t{ready} && ready <= kPiece && !may_trail) {
    auto whole = co_await http::read_all(body, kPiece);
    if (!whole) {
      co_return co_await answer(t, {.code = "upstream_failed", .reason = whole.error().context});
    }
    t.bytes = whole->size();
    if (!co_await t.response.send(std::move(head), *std::move(whole))) t.reason = "client write";
    co_return;
  }
  if (const auto started = co_await t.response.start(std::move(head)); !started) {
    t.reason = started.error().context;
    co_return;
  }
  const Duration idle = grpc::patience(t.request.head.headers, kUpstreamIdle);
  if (const auto sent = co_await stream_body(host_.loop, body, t.response, t.bytes, idle); !sent) {
    t.reason = sent.error().context;  // and its connection is cut: it is not to be taken for whole
  }
}

async::Task<void> Proxy::answer(Transaction& t, Problem problem) {
  ++state_.counters.router_errors;
  t.status = problem.status;
  t.reason = problem.code + ": " + problem.reason;
  Page page = error_page(problem, t.route == nullptr ? std::string_view() : t.route->app.str(),
                         t.request.request_id, t.request.head.headers);
  t.bytes = page.body.size();
  std::ignore = co_await t.response.send(std::move(page.head), std::move(page.body));
}

// Ends when the client has gone. Most requests are over before it is worth a look.
async::Task<void> Proxy::watch_client(Transaction& t) {
  co_await host_.loop.sleep(kClientWatchDelay);
  co_await t.response.closed();
  t.client_gone = true;
}

void Proxy::finish(Transaction& t) {
  Counters& counters = state_.counters;
  if (t.client_gone) {
    ++counters.clients_gone;
    if (t.status == 0) t.status = 499;
    if (t.reason.empty()) t.reason = "the client went away";
  }
  if (t.status >= 500) {
    ++counters.server_errors;
  } else if (t.status >= 400) {
    ++counters.client_errors;
  } else {
    ++counters.informational_or_ok;
  }
  log_.append({.at = host_.clock.wall(),
               .request_id = t.request.request_id,
               .client = t.client,
               .method = t.request.head.method,
               .host = t.host,
               .path = t.request.head.path(),
               .app = t.route == nullptr ? std::string_view() : t.route->app.str(),
               .machine = t.machine,
               .machine_node = t.machine_node,
               .relay = t.relay,
               .node = settings_.node,
               .region = settings_.region,
               .reason = t.reason,
               .status = t.status,
               .attempts = t.attempts,
               .http = t.request.head.major_version,
               .tls = t.request.tls,
               .bytes = t.bytes,
               .duration = host_.loop.now() - t.begun,
               .upstream = t.upstream});
}

}  // namespace perigee::router
