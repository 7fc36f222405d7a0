#include "link/outbound.h"

#include "api/endpoint.h"
#include "base/log.h"
#include "link/limits.h"
#include "link/relay.h"

namespace perigee::link {
namespace {

http::ResponseHead head_of(const http::Request& request, const Error& error) {
  return api::response_head(request, info(error.code).http_status, "application/json");
}

std::string body_of(const http::Request& request, const Error& error) {
  return api::error_body(error, request.request_id).dump();
}

}  // namespace

async::Task<Relayed> relay_to(async::Loop& loop, Peer& peer, const Carried& carried,
                              Duration patience, http::ResponseWriter& response) {
  RelayFailure last{Error::make(Code::unavailable, "it has no address"), false};
  const std::vector<sys::Address> addresses = peer.addresses;  // they may change meanwhile
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const std::size_t at = (peer.preferred + i) % addresses.size();
    auto done =
        co_await relay(loop, {peer.host, peer.client, addresses[at]}, carried, patience, response);
    if (done || done.error().answered) {
      peer.preferred = at;
      co_return done;
    }
    last = std::move(done).error();
  }
  co_return std::unexpected(std::move(last));
}

async::Task<void> answer_error(const http::Request& request, http::ResponseWriter& response,
                               Error error) {
  if (response.started()) co_return;
  std::ignore = co_await response.send(head_of(request, error), body_of(request, error));
}

async::Task<void> answer_not_reached(const http::Request& request, http::ResponseWriter& response,
                                     Error error) {
  http::ResponseHead head = head_of(request, error);
  head.headers.set(api::kNotReachedHeader, "yes");
  std::ignore = co_await response.send(std::move(head), body_of(request, error));
}

async::Task<void> Outbound::handle(http::Request& request, http::ResponseWriter& response) {
  const Result<void> done = co_await pass_on(request, response);
  if (!done) co_await answer_error(request, response, done.error());
}

async::Task<Result<void>> ToNodes::pass_on(http::Request& request, http::ResponseWriter& response) {
  CO_TRY(const api::Caller caller, api::caller_of(request, users_));
  if (caller.is_router) co_return fail(Code::permission_denied, "a router may not call workers");
  const std::string_view* const worker_of = request.head.headers.find(api::kToNodeHeader);
  const std::string_view* const control_of = request.head.headers.find(api::kToControlHeader);
  if (worker_of == nullptr && control_of == nullptr)
    co_return fail(Code::invalid_argument, "{}: missing", api::kToNodeHeader);
  const bool to_worker = worker_of != nullptr;
  const NodeId node(std::string(to_worker ? *worker_of : *control_of));
  CO_TRY(Carried carried, co_await take(request));
  carried.head.headers.remove(api::kToControlHeader);
  // The other end keeps calls to a worker apart from calls to a control by the first.
  if (to_worker)
    carried.head.headers.set(api::kToNodeHeader, node.str());
  else
    carried.head.headers.set(api::kCallerHeader, "daemon");
  CO_TRY(const std::shared_ptr<Peer> peer, members_.peer(node));
  const auto done = co_await relay_to(loop_, *peer, carried, kAnswer, response);
  if (!done)
    co_return fail(
        done.error().error.with(fmt::format("{} on {}", to_worker ? "worker" : "control", node)));
  co_return Result<void>();
}

}  // namespace perigee::link
