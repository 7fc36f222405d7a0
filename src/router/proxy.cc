#include "router/proxy.h"

#include "async/combine.h"
#include "backhaul/splice.h"
#include "http/trailers.h"
#include "http2/fields.h"
#include "router/affinity.h"
#include "router/body_stream.h"
#include "router/challenge_page.h"
#include "router/compression.h"
#include "router/forwarding.h"
#include "router/grpc.h"
#include "router/gzip.h"

namespace perigee::router {

Proxy::Proxy(sys::Host& host, State& state, Upstreams& machines, backhaul::Client& nodes,
             backhaul::LoadFeed& loads, Waker& waker, AccessLog& log, ProxySettings settings)
    : host_(host),
      state_(state),
      log_(log),
      settings_(std::move(settings)),
      clients_(settings_.requests_per_client, http::Loopback::exempt),
      attempts_(host, state, machines, nodes,
                {.node = settings_.node,
                 .region = settings_.region,
                 .http_port = settings_.http_port,
                 .https_port = settings_.https_port}),
      reach_(host, state, attempts_, nodes, loads, waker, settings_.node, settings_.bounds) {}

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
  if (const auto page = challenge_page(*state_.table, request)) {
    co_await answer_authority(t, *page);
    co_return finish(t);
  }
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
  const http::ClientSlots::Slot slot = clients_.take(t.request.peer);
  if (!slot) {
    co_return co_await answer(t, {.status = 429,
                                  .code = "too_many_for_client",
                                  .reason = fmt::format("{} requests of this client are under way, "
                                                        "which is all that one may have.",
                                                        settings_.requests_per_client),
                                  .retry_soon = true});
  }
  t.share = state_.budgets.open(t.owner->app.str(), Resource::requests);
  if (t.share.grow(1)) co_return co_await reach_and_respond(t);
  co_await answer(t, {.status = 503,
                      .code = "too_many_requests",
                      .reason = fmt::format("{} requests of this app are under way, which is all "
                                            "that one app may have at a router.",
                                            kMaxAppRequests),
                      .retry_soon = true});
}

Proxy::Phase Proxy::find_owner(Transaction& t) {
  t.host = host_of(t.request);
  const FoundOwner found = t.entrance == Entrance::by_port
                               ? find_by_port(*state_.table, t.request)
                               : find_by_host(*state_.table, t.request, settings_.domain);
  if (!found) return std::unexpected(found.error());
  t.owner = found->route;
  t.port = found->port;
  t.leg = {
      .route = found->route, .service = found->service, .wish = wish_of(t.request.head.headers)};
  if (!t.leg.wish.machine_only) t.leg.preferred = t.leg.wish.machine;
  prefer_former(t.port->http_options.affinity, t.request.head, t.leg.wish);
  return {};
}

// A certificate authority that asks whose the host is.
async::Task<void> Proxy::answer_authority(Transaction& t, std::string page) {
  http::ResponseHead head{.status = 200};
  head.headers.add("Content-Type", "application/octet-stream");  // RFC 8555, section 8.3
  head.headers.add("perigee-request-id", t.request.request_id);
  t.status = head.status;
  t.host = host_of(t.request);
  t.reason = "acme_challenge";
  std::ignore = co_await t.response.send(std::move(head), std::move(page));
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

async::Task<void> Proxy::reach_and_respond(Transaction& t) {
  Replaying replaying(state_, host_.loop, host_.clock);
  for (;;) {
    // A machine that speaks HTTP/2 has no Upgrade.
    const bool upgrades = backend_of(*t.leg.service) == Backend::http1;
    t.protocol = upgrades ? http::requested_protocol(t.request.head) : std::string();
    auto reached = co_await reach_.find(t);
    if (!reached) {
      if (replaying.fall_back(t, reached.error())) continue;
      co_return co_await answer(t, reached.error());
    }
    if (!asks_for_replay(reached->head())) {
      t.body.forget();
      co_return co_await respond(t, *reached);
    }
    const Phase next = co_await replay(t, replaying, *reached);
    if (!next) co_return co_await answer(t, next.error());
  }
}

// The machine's answer is not for the client: the next machine's may be.
async::Task<Proxy::Phase> Proxy::replay(Transaction& t, Replaying& replaying, Reached& reached) {
  std::string text;
  if (reached.upgraded) {
    text = std::move(reached.upgraded->body);
  } else if (is_replay_body(reached.head())) {
    auto body = co_await async::with_deadline(
        host_.loop, host_.loop.deadline_in(kUpstreamIdle),
        http::read_all(reached.response->body(), kMaxReplayText), "a replay");
    if (!body) {
      co_return std::unexpected(Problem{.code = "invalid_replay", .reason = body.error().context});
    }
    text = *std::move(body);
  }
  const auto replay = replay_of(reached.head(), text);
  reached = Reached();  // ends what is under way there: the body is about to be read again
  if (auto problem = replaying.begin(t, replay)) co_return std::unexpected(*std::move(problem));
  ++state_.counters.replays;
  co_return Phase();
}

http::ResponseHead Proxy::head_for_client(const Transaction& t,
                                          const http::ResponseHead& head) const {
  const model::HttpOptions& options = t.port->http_options;
  http::ResponseHead out = downstream_response(head, t.request.request_id, options);
  if (t.leg.route->app != t.owner->app) return out;  // another app's machine is nobody's affinity
  const CookieScope scope = t.request.tls ? CookieScope::tls_only : CookieScope::any;
  if (auto cookie = affinity_cookie(options.affinity, t.request.head, t.machine, scope)) {
    out.headers.add("Set-Cookie", *cookie);
  }
  return out;
}

async::Task<void> Proxy::respond_upgraded(Transaction& t, http::UpgradeAnswer& answer) {
  http::ResponseHead head = head_for_client(t, answer.head);
  t.status = head.status;
  if (!answer.stream) {  // the machine stays with HTTP
    t.bytes = answer.body.size();
    std::ignore = co_await t.response.send(std::move(head), std::move(answer.body));
    co_return;
  }
  const std::string_view* agreed = answer.head.headers.find("upgrade");
  const auto client = co_await t.response.switch_protocols(
      agreed == nullptr ? t.protocol : std::string(*agreed), std::move(head.headers));
  if (!client) {
    t.reason = client.error().context;
    co_return;
  }
  backhaul::Traffic traffic;
  co_await backhaul::splice(host_.loop, **client, *answer.stream, traffic);
  t.bytes = traffic.to_near;
}

async::Task<void> Proxy::respond(Transaction& t, Reached& reached) {
  if (reached.upgraded) {
    co_return co_await respond_upgraded(t, *reached.upgraded);
  }
  http::Body& body = reached.response->body();
  http::ResponseHead head = head_for_client(t, reached.response->head);
  t.status = head.status;
  if (t.port->http_options.compress && is_compressible(t.request.head, head, body.length())) {
    vary_by_encoding(head.headers);
    if (takes_gzip(t.request.head.headers)) {
      co_return co_await respond_compressed(t, std::move(head), body);
    }
  }
  const std::size_t ready = body.ready();
  const bool bodiless = t.request.head.method == "HEAD" || head.status == 204 || head.status == 304;
  const bool may_trail = ready > 0 && http::takes_trailers(t.request.head.headers);
  if (!bodiless && body.length() == std::uint64_t{ready} && ready <= kPiece && !may_trail) {
    co_return co_await respond_whole(t, std::move(head), body);
  }
  co_await respond_streamed(t, std::move(head), body);
}

async::Task<void> Proxy::respond_whole(Transaction& t, http::ResponseHead head, http::Body& body) {
  auto whole = co_await http::read_all(body, kPiece);
  if (!whole) {
    co_return co_await answer(t, {.code = "upstream_failed", .reason = whole.error().context});
  }
  t.bytes = whole->size();
  if (!co_await t.response.send(std::move(head), *std::move(whole))) t.reason = "client write";
}

async::Task<void> Proxy::respond_streamed(Transaction& t, http::ResponseHead head,
                                          http::Body& body) {
  if (const auto started = co_await t.response.start(std::move(head)); !started) {
    t.reason = started.error().context;
    co_return;
  }
  const Duration idle = grpc::patience(t.request.head.headers, kUpstreamIdle);
  if (const auto sent = co_await stream_body(host_.loop, body, t.response, t.bytes, idle); !sent) {
    t.reason = sent.error().context;  // and its connection is cut: it is not to be taken for whole
  }
}

// As it is, where the app has as many compressed already as it may.
async::Task<void> Proxy::respond_compressed(Transaction& t, http::ResponseHead head,
                                            http::Body& body) {
  auto share = state_.budgets.open(t.owner->app.str(), Resource::compressions);
  if (!share.grow(1)) co_return co_await respond_streamed(t, std::move(head), body);
  ++state_.counters.compressed;
  mark_as_gzip(head.headers);
  GzipBody compressed(body);
  co_await respond_streamed(t, std::move(head), compressed);
}

async::Task<void> Proxy::answer(Transaction& t, const Problem& problem) {
  ++state_.counters.router_errors;
  t.status = problem.status;
  t.reason = problem.code + ": " + problem.reason;
  const std::string_view app =
      t.leg.route == nullptr ? "" : std::string_view(t.leg.route->app.str());
  Page page = error_page(problem, app, t.request.request_id, t.request.head.headers);
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
               .app = t.leg.route == nullptr ? std::string_view() : t.leg.route->app.str(),
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
