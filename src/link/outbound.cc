#include "link/outbound.h"

#include "api/endpoint.h"
#include "base/log.h"
#include "link/limits.h"
#include "link/relay.h"

namespace perigee::link {
namespace {

// Each of a node's addresses once, the one that answered last first.
async::Task<Relayed> relay_to(async::Loop& loop, Peer& peer, const Carried& carried,
                              http::ResponseWriter& response) {
  RelayFailure last{Error::make(Code::unavailable, "it has no address"), false};
  const std::size_t count = peer.addresses.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = (peer.preferred + i) % count;
    auto done = co_await relay(loop, {peer.host, peer.client, peer.addresses[at]}, carried, kAnswer,
                               response);
    if (done || done.error().answered) {
      peer.preferred = at;
      co_return done;
    }
    last = std::move(done).error();
  }
  co_return std::unexpected(std::move(last));
}

}  // namespace

async::Task<void> answer_error(const http::Request& request, http::ResponseWriter& response,
                               Error error) {
  if (response.started()) co_return;
  http::ResponseHead head =
      api::response_head(request, info(error.code).http_status, "application/json");
  [[maybe_unused]] const auto sent =
      co_await response.send(std::move(head), api::error_body(error, request.request_id).dump());
}

async::Task<void> Outbound::handle(http::Request& request, http::ResponseWriter& response) {
  const Result<void> done = co_await pass_on(request, response);
  if (!done) co_await answer_error(request, response, done.error());
}

async::Task<Result<void>> ToControl::pass_on(http::Request& request,
                                             http::ResponseWriter& response) {
  CO_TRY(const api::Caller caller, api::caller_of(request, users_));
  CO_TRY(Carried carried, co_await take(request));
  carried.head.headers.set(api::kCallerHeader, caller.is_router ? "router" : "daemon");
  const std::vector<NodeId> controls = members_.with_role("control");
  Error last = Error::make(Code::unavailable, "this fleet has no node with control");
  for (std::size_t i = 0; i < controls.size(); ++i) {
    const std::size_t at = (preferred_ + i) % controls.size();
    CO_TRY(Peer* const peer, members_.peer(controls[at]));
    const auto done = co_await relay_to(loop_, *peer, carried, response);
    if (done) {
      preferred_ = at;
      co_return Result<void>();
    }
    last = done.error().error.with(fmt::format("control on {}", controls[at]));
    if (done.error().answered) break;
  }
  co_return fail(std::move(last));
}

async::Task<Result<void>> ToNodes::pass_on(http::Request& request, http::ResponseWriter& response) {
  CO_TRY(const api::Caller caller, api::caller_of(request, users_));
  if (caller.is_router) co_return fail(Code::permission_denied, "a router may not call workers");
  const std::string* const worker_of = request.head.headers.find(api::kToNodeHeader);
  const std::string* const control_of = request.head.headers.find(api::kToControlHeader);
  if (worker_of == nullptr && control_of == nullptr)
    co_return fail(Code::invalid_argument, "{}: missing", api::kToNodeHeader);
  const bool to_worker = worker_of != nullptr;
  const NodeId node(to_worker ? *worker_of : *control_of);
  CO_TRY(Carried carried, co_await take(request));
  carried.head.headers.remove(api::kToControlHeader);
  // The other end keeps calls to a worker apart from calls to a control by the first.
  if (to_worker)
    carried.head.headers.set(api::kToNodeHeader, node.str());
  else
    carried.head.headers.set(api::kCallerHeader, "daemon");
  CO_TRY(Peer* const peer, members_.peer(node));
  const auto done = co_await relay_to(loop_, *peer, carried, response);
  if (!done)
    co_return fail(
        done.error().error.with(fmt::format("{} on {}", to_worker ? "worker" : "control", node)));
  co_return Result<void>();
}

}  // namespace perigee::link
