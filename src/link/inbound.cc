#include "link/inbound.h"

#include "link/limits.h"
#include "link/outbound.h"

namespace perigee::link {
namespace {

constexpr std::string_view kRouterPath = "/internal/v1/explain";  // all else is the worker's

// What a server may ask that is no part of the fleet yet.
bool is_joining(const http::RequestHead& head) {
  return (head.method == "GET" && head.path() == "/internal/v1/fleet/ca") ||
         (head.method == "POST" && head.path() == "/internal/v1/fleet/join");
}

}  // namespace

async::Task<void> Inbound::handle(http::Request& request, http::ResponseWriter& response) {
  const Result<void> done = co_await pass_on(request, response);
  if (!done) co_await answer_error(request, response, done.error());
}

// Control itself checks that the certificate is the node's present one: it may know more than the
// feed has told us yet. Workers and routers can't, so
// it is checked here.
Result<sys::Address> Inbound::destination(const http::Request& request) const {
  const std::string_view* const to = request.head.headers.find(api::kToNodeHeader);
  if (to == nullptr) {
    if (sockets_.control) return *sockets_.control;
    return fail(Code::unavailable, "node {} runs no control", self_);
  }
  if (!request.peer_identity || *to != self_.str()) {
    return fail(Code::permission_denied, "a call to node {}, from nobody or by mistake", *to);
  }
  const NodeId caller(request.peer_identity->name);
  const bool may = members_.is_its(caller, request.peer_identity->fingerprint) &&
                   members_.runs(caller, "control");
  if (!may) return fail(Code::permission_denied, "node {} may not call this", caller);
  const bool to_router = request.head.path().starts_with(kRouterPath);
  const auto& socket = to_router ? sockets_.router : sockets_.worker;
  if (socket) return *socket;
  return fail(Code::unavailable, "node {} runs no {}", self_, to_router ? "router" : "worker");
}

async::Task<Result<void>> Inbound::pass_on(http::Request& request, http::ResponseWriter& response) {
  if (!request.peer_identity && !is_joining(request.head)) {
    co_return fail(Code::permission_denied,
                   "this port is for the fleet's own nodes: the API is elsewhere");
  }
  CO_TRY(sys::Address address, destination(request));
  const std::string_view* const said = request.head.headers.find(api::kCallerHeader);
  const std::string caller = said != nullptr && *said == "daemon" ? "daemon" : "router";
  CO_TRY(Carried carried, co_await take(request));
  if (request.peer_identity) {
    carried.head.headers.set(api::kNodeHeader, request.peer_identity->name);
    carried.head.headers.set(api::kCertificateHeader, request.peer_identity->fingerprint);
    carried.head.headers.set(api::kCallerHeader, caller);
  }
  const auto done =
      co_await relay(host_.loop, {host_, client_, std::move(address)}, carried, kAnswer, response);
  if (done) co_return Result<void>();
  if (!done.error().answered) co_await answer_not_reached(request, response, done.error().error);
  co_return fail(done.error().error);
}

}  // namespace perigee::link
