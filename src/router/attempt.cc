#include "router/attempt.h"

#include "async/combine.h"
#include "crypto/hash.h"
#include "router/forwarding.h"

namespace perigee::router {
namespace {

// Another loop of this process has taken the last place since the choice.
backhaul::Failure full() {
  return {.request = {.error = Error::make(Code::unavailable, "the machine is at its hard limit")},
          .told = {.refusal = backhaul::Refusal::at_limit}};
}

}  // namespace

Attempts::Attempts(sys::Host& host, State& state, Upstreams& machines, backhaul::Client& nodes,
                   Settings settings)
    : host_(host),
      state_(state),
      machines_(machines),
      nodes_(nodes),
      settings_(std::move(settings)) {}

int Attempts::listener_port(const Transaction& t) const {
  if (t.entrance == Entrance::by_port) return t.request.local.port();
  return t.request.tls ? settings_.https_port : settings_.http_port;
}

async::Task<Attempt> Attempts::make(Transaction& t, const model::RouteTarget& target) {
  t.machine = target.machine.str();
  t.machine_node = target.node.str();
  t.machine_region = target.region;
  ++t.attempts;
  const MonotonicTime begun = host_.loop.now();
  std::optional<Attempt> tried;
  if (!t.protocol.empty()) {
    tried = co_await upgrade(t, target, head_for(t));
  } else if (t.machine_node == settings_.node) {
    tried = co_await here(t, target, head_for(t));
  } else {
    tried = co_await there(t, head_for(t));
  }
  t.upstream = host_.loop.now() - begun;
  co_return *std::move(tried);
}

http::RequestHead Attempts::head_for(const Transaction& t) const {
  const Hop hop{.client_ip = t.client,
                .request_id = t.request.request_id,
                .region = settings_.region,
                .listener_port = listener_port(t),
                .tls = t.request.tls};
  http::RequestHead head = upstream_request(t.request.head, hop);
  apply(t.leg.changes, head);
  for (const auto& [name, value] : t.leg.fields.fields()) head.headers.add(name, value);
  const std::string& preferred = t.leg.preferred.str();
  if (!preferred.empty() && preferred != t.machine) {
    head.headers.set("perigee-preferred-machine-unavailable", preferred);
    head.headers.set("fly-preferred-instance-unavailable", preferred);
  }
  return head;
}

async::Task<Attempt> Attempts::here(Transaction& t, const model::RouteTarget& target,
                                    http::RequestHead head) {
  const model::Service& service = *t.leg.service;
  const auto address =
      sys::Address::ip(target.address, static_cast<std::uint16_t>(service.internal_port));
  if (!address) {
    co_return std::unexpected(backhaul::Failure{.request = {.error = address.error()}});
  }
  auto slot = state_.loads.take(t.machine, service.concurrency.hard_limit);
  if (!slot) co_return std::unexpected(full());
  auto response = co_await machines_.forward(*address, backend_of(service), std::move(head),
                                             &t.body, host_.loop.deadline_in(t.head_patience));
  if (!response) {
    co_return std::unexpected(backhaul::Failure{.request = std::move(response).error()});
  }
  co_return Reached{.response = *std::move(response), .slot = *std::move(slot)};
}

async::Task<Attempt> Attempts::there(Transaction& t, http::RequestHead head) {
  backhaul::LoadView::Slot slot(state_.remote_loads, t.machine);
  backhaul::Hop hop{.app = t.leg.route->app.str(),
                    .machine = t.machine,
                    .node = t.machine_node,
                    .port = t.leg.service->internal_port};
  auto answer = co_await nodes_.forward(std::move(hop), std::move(head), &t.body,
                                        host_.loop.deadline_in(t.head_patience));
  backhaul::Told& told = answer ? answer->told : answer.error().told;
  t.relay = told.relay;
  if (!answer) co_return std::unexpected(std::move(answer).error());
  if (!answer->told.failure.empty()) co_return co_await machine_failed(*std::move(answer));
  co_return Reached{.response = std::move(answer->response), .there = std::move(slot)};
}

// On a connection of its own, through a tunnel where the machine is elsewhere.
async::Task<Attempt> Attempts::upgrade(Transaction& t, const model::RouteTarget& target,
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

async::Task<backhaul::Connected> Attempts::connect(Transaction& t, const model::RouteTarget& target,
                                                   Reached& reached) {
  const Deadline deadline = host_.loop.deadline_in(kConnectTimeout);
  if (t.machine_node != settings_.node) {
    reached.there = backhaul::LoadView::Slot(state_.remote_loads, t.machine);
    co_return co_await nodes_.connect({.hop = {.app = t.leg.route->app.str(),
                                               .machine = t.machine,
                                               .node = t.machine_node,
                                               .port = t.leg.service->internal_port},
                                       .client = t.request.peer,
                                       .listener_port = listener_port(t),
                                       .request_id = t.request.request_id},
                                      deadline);
  }
  auto slot = state_.loads.take(t.machine, t.leg.service->concurrency.hard_limit);
  if (!slot) co_return std::unexpected(full());
  reached.slot = *std::move(slot);
  const auto address =
      sys::Address::ip(target.address, static_cast<std::uint16_t>(t.leg.service->internal_port));
  auto stream = address ? co_await host_.network.connect(*address, deadline)
                        : Result<std::unique_ptr<sys::Stream>>(fail(address.error()));
  if (stream) co_return *std::move(stream);
  co_return std::unexpected(backhaul::Failure{.request = {.error = std::move(stream).error()}});
}

// The other node's router sent the request to its machine, and had no answer to give.
async::Task<Attempt> Attempts::machine_failed(backhaul::Answer answer) {
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

}  // namespace perigee::router
