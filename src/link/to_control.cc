#include "link/to_control.h"

#include <algorithm>

#include "async/combine.h"
#include "base/log.h"

namespace perigee::link {
namespace {

async::Task<void> keep(async::Task<Relayed> task, Relayed& result) {
  result = co_await std::move(task);
}

// One that is slow to carry something out still answers this at once, if only by refusing.
async::Task<bool> answers(async::Loop& loop, Peer& peer) {
  for (const sys::Address& address : peer.addresses) {
    http::RequestHead head{.method = "GET", .target = "/internal/v1/fleet/ca"};
    head.headers.set("Host", "control");
    const auto answer =
        co_await peer.client.request(address, std::move(head), {}, loop.deadline_in(kConnect));
    if (answer) co_return (*answer)->head.headers.find(api::kNotReachedHeader) == nullptr;
  }
  co_return false;
}

}  // namespace

async::Task<Result<void>> ToControl::pass_on(http::Request& request,
                                             http::ResponseWriter& response) {
  CO_TRY(const api::Caller caller, api::caller_of(request, users_));
  CO_TRY(Carried carried, co_await take(request));
  carried.head.headers.set(api::kCallerHeader, caller.is_router ? "router" : "daemon");
  const std::vector<NodeId> controls = in_turn();
  Error last = Error::make(Code::unavailable, "this fleet has no node with control");
  for (const NodeId& control : controls) {
    const Duration patience = control == controls.back() ? kAnswer : kNextControl;
    const Relayed done = co_await attempt(control, carried, patience, response);
    if (done) co_return Result<void>();
    last = done.error().error.with(fmt::format("control on {}", control));
    if (done.error().answered) break;
    CO_TRY(const std::shared_ptr<Peer> peer, members_.peer(control));
    const bool slow = last.code == Code::deadline_exceeded && co_await answers(loop_, *peer);
    if (!slow) leave(control);
  }
  co_return fail(std::move(last));
}

async::Task<Relayed> ToControl::attempt(NodeId control, const Carried& carried, Duration patience,
                                        http::ResponseWriter& response) {
  const Result<std::shared_ptr<Peer>> peer = members_.peer(control);
  if (!peer) co_return std::unexpected(RelayFailure{peer.error(), false});
  Relayed result = std::unexpected(
      RelayFailure{Error::make(Code::unavailable, "it has ceased to answer"), false});
  const auto ended = co_await async::first_of(
      loop_, keep(relay_to(loop_, **peer, carried, patience, response), result),
      until_left(std::move(control)));
  if (ended == async::Winner::second) result.error().answered = response.started();
  co_return result;
}

async::Task<void> ToControl::until_left(NodeId control) {
  const int before = departures_[control];
  while (departures_[control] == before) co_await left_.wait();
}

std::vector<NodeId> ToControl::in_turn() const {
  std::vector<NodeId> controls = members_.with_role("control");
  const auto first = std::ranges::find(controls, preferred_);
  if (first != controls.end()) std::ranges::rotate(controls, first);
  return controls;
}

// Once for all calls that find out at the same time.
void ToControl::leave(const NodeId& control) {
  const std::vector<NodeId> controls = in_turn();
  if (controls.size() < 2 || controls.front() != control) return;
  preferred_ = controls[1];
  log_warning("link", "control on {} does not answer; asking {} from here on", control, preferred_);
  ++departures_[control];
  left_.notify_all();
}

}  // namespace perigee::link
