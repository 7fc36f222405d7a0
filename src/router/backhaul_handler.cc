#include "router/backhaul_handler.h"

#include <algorithm>

#include "async/combine.h"
#include "backhaul/splice.h"
#include "router/body_stream.h"
#include "router/forwarding.h"
#include "router/grpc.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

using backhaul::Refusal;

async::Task<void> until_gone(http::ResponseWriter& response) {
  co_await response.closed();
}

std::unexpected<backhaul::Failure> refused(Refusal refusal) {
  Error error = Error::make(Code::unavailable, std::string(backhaul::describe(refusal)));
  return std::unexpected(
      backhaul::Failure{.request = {.error = std::move(error)}, .told = {.refusal = refusal}});
}

}  // namespace

BackhaulHandler::BackhaulHandler(sys::Host& host, State& state, Upstreams& machines,
                                 backhaul::Client& nodes, backhaul::LoadTeller& teller,
                                 std::string node)
    : host_(host),
      state_(state),
      machines_(machines),
      nodes_(nodes),
      teller_(teller),
      node_(std::move(node)) {}

async::Task<void> BackhaulHandler::handle(http::Request& request, http::ResponseWriter& response) {
  co_await async::first_of(host_.loop, serve(request, response), until_gone(response));
}

async::Task<void> BackhaulHandler::serve(http::Request& request, http::ResponseWriter& response) {
  auto hop = backhaul::hop_of(request.head.headers);
  if (!hop) {
    http::ResponseHead head{.status = info(hop.error().code).http_status};
    std::ignore = co_await response.send(std::move(head), hop.error().context + "\n");
    co_return;
  }
  if (!hop->loads) ++state_.counters.backhaul_requests;
  if (hop->node != node_) co_return co_await relay(request, response, *std::move(hop));
  if (hop->loads) co_return co_await teller_.serve(hop->from, response);
  auto place = find_room(state_, node_, *hop);
  if (!place) co_return co_await refuse(response, {.refusal = place.error()});
  co_await hand_over(request, response, *std::move(place));
}

async::Task<void> BackhaulHandler::hand_over(http::Request& request, http::ResponseWriter& response,
                                             Place place) {
  const Loads::Slot slot(state_.loads, place.machine, place.from);
  http::RequestHead head = std::move(request.head);
  backhaul::remove_hop_fields(head.headers);
  const Duration bound = grpc::patience(head.headers, kUpstreamHead);
  const Duration idle = grpc::patience(head.headers, kUpstreamIdle);
  auto answer = co_await machines_.forward(place.address, place.backend, std::move(head),
                                           &request.body, host_.loop.deadline_in(bound));
  if (answer) co_return co_await pass_on(**answer, response, {}, idle);
  if (!answer.error().sent) {
    ++state_.counters.connect_failures;
    co_return co_await refuse(response, {.refusal = Refusal::not_listening});
  }
  co_await fail_request(response, answer.error().error, {});
}

async::Task<void> BackhaulHandler::relay(http::Request& request, http::ResponseWriter& response,
                                         backhaul::Hop hop) {
  if (hop.relays == 0) co_return co_await refuse(response, {.refusal = Refusal::gone});
  ++state_.counters.relayed;
  const Duration bound = grpc::patience(request.head.headers, kUpstreamHead);
  const Duration idle = grpc::patience(request.head.headers, kUpstreamIdle);
  auto answer = co_await nodes_.forward(std::move(hop), std::move(request.head), &request.body,
                                        host_.loop.deadline_in(bound));
  if (answer)
    co_return co_await pass_on(*answer->response, response, std::move(answer->told), idle);
  backhaul::Told told = std::move(answer.error().told);
  if (answer.error().request.sent) {
    co_return co_await fail_request(response, answer.error().request.error, std::move(told));
  }
  if (!told.refusal) told.refusal = Refusal::unreachable;
  co_await refuse(response, std::move(told));
}

async::Task<void> BackhaulHandler::pass_on(http::Response& from, http::ResponseWriter& to,
                                           backhaul::Told told, Duration idle) {
  http::ResponseHead head = std::move(from.head);
  remove_hop_by_hop(head.headers);
  backhaul::remove_hop_fields(head.headers);
  backhaul::put(head.headers, told);
  if (from.body().length() == std::uint64_t{0}) {  // one frame: gRPC's Trailers-Only stays that
    std::ignore = co_await to.send(std::move(head), {});
    co_return;
  }
  if (!co_await to.start(std::move(head))) co_return;
  std::uint64_t bytes = 0;
  std::ignore = co_await stream_body(host_.loop, from.body(), to, bytes, idle);
}

async::Task<void> BackhaulHandler::refuse(http::ResponseWriter& response, backhaul::Told told) {
  ++state_.counters.refusals;
  http::ResponseHead head{.status = 503};
  backhaul::put(head.headers, told);
  std::ignore = co_await response.send(std::move(head), {});
}

// The machine may have acted on the request: the other router decides what comes of it.
async::Task<void> BackhaulHandler::fail_request(http::ResponseWriter& response, const Error& error,
                                                backhaul::Told told) {
  http::ResponseHead head{.status = 502};
  told.failure = info(error.code).name;
  backhaul::put(head.headers, told);
  std::ignore = co_await response.send(std::move(head), error.context.substr(0, kMaxFailureText));
}

// ---- tunnels ----

async::Task<void> BackhaulHandler::serve_tunnel(backhaul::Tunnel tunnel, sys::Stream& stream) {
  ++state_.counters.backhaul_requests;
  Loads::Slot slot;
  auto machine = co_await reach(std::move(tunnel), slot);
  std::optional<Refusal> refusal;
  if (!machine) refusal = machine.error().told.refusal.value_or(Refusal::unreachable);
  if (refusal) ++state_.counters.refusals;
  const char answer = backhaul::answer_byte(refusal);
  if (!co_await stream.write({&answer, 1}) || refusal) co_return;
  backhaul::Traffic traffic;
  co_await backhaul::splice(host_.loop, stream, **machine, traffic);
}

// To the machine, or on to its node; the slot is the machine's.
async::Task<backhaul::Connected> BackhaulHandler::reach(backhaul::Tunnel tunnel,
                                                        Loads::Slot& slot) {
  const Deadline deadline = host_.loop.deadline_in(kConnectTimeout);
  if (tunnel.hop.node != node_) {
    if (tunnel.hop.relays == 0) co_return refused(Refusal::gone);
    ++state_.counters.relayed;
    co_return co_await nodes_.connect(std::move(tunnel), deadline);
  }
  const auto place = find_room(state_, node_, tunnel.hop);
  if (!place) co_return refused(place.error());
  slot = Loads::Slot(state_.loads, place->machine, place->from);
  auto stream = co_await host_.network.connect(place->address, deadline);
  if (!stream) co_return refused(Refusal::not_listening);
  co_return *std::move(stream);
}

}  // namespace perigee::router
