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
async::Task<bool> answers_at(async::Loop& loop, http::Client& client, sys::Address address) {
  http::RequestHead head{.method = "GET", .target = "/internal/v1/fleet/ca"};
  head.headers.set("Host", "control");
  const auto answer =
      co_await client.request(std::move(address), std::move(head), {}, loop.deadline_in(kConnect));
  co_return answer && (*answer)->head.headers.find(api::kNotReachedHeader) == nullptr;
}

}  // namespace

ToControl::ToControl(sys::Host& host, Members& members, api::LocalUsers users,
                     std::optional<OwnControl> own)
    : Outbound(host.loop, members, users),
      host_(host),
      own_(std::move(own)),
      client_(host, {.connect_timeout = kConnect}),
      left_(host.loop) {
  if (own_) preferred_ = own_->node;
}

async::Task<Result<void>> ToControl::pass_on(http::Request& request,
                                             http::ResponseWriter& response) {
  CO_TRY(const api::Caller caller, api::caller_of(request, users_));
  CO_TRY(Carried carried, co_await take(request));
  carried.head.headers.set(api::kCallerHeader, caller.is_router ? "router" : "daemon");
  const std::vector<NodeId> controls = in_turn();
  Error last = Error::make(Code::unavailable, "this fleet has no node with control");
  for (const NodeId& control : controls) {
    // After one that was waited for in vain the next are asked whether they are there first: two
    // that are cut off together must not cost as long as it takes until this node counts as lost.
    const bool first = control == controls.front();
    if (!first && !co_await answers(control)) {
      leave(control);
      continue;
    }
    const Duration patience = control == controls.back() ? kAnswer : kNextControl;
    const Relayed done = co_await attempt(control, carried, patience, response);
    if (done) co_return Result<void>();
    last = done.error().error.with(fmt::format("control on {}", control));
    if (done.error().answered) break;
    const bool slow = last.code == Code::deadline_exceeded && co_await answers(control);
    if (!slow) leave(control);
  }
  co_return fail(std::move(last));
}

async::Task<Relayed> ToControl::attempt(NodeId control, const Carried& carried, Duration patience,
                                        http::ResponseWriter& response) {
  Relayed result = std::unexpected(
      RelayFailure{Error::make(Code::unavailable, "it has ceased to answer"), false});
  const auto ended = co_await async::first_of(
      loop_, keep(ask(control, carried, patience, response), result), until_left(control));
  if (ended == async::Winner::second) result.error().answered = response.started();
  co_return result;
}

// To its own control this node says no name: control knows it by its link's user id.
async::Task<Relayed> ToControl::ask(NodeId control, const Carried& carried, Duration patience,
                                    http::ResponseWriter& response) {
  if (is_own(control)) {
    co_return co_await relay(loop_, {host_, client_, own_->socket}, carried, patience, response);
  }
  const Result<std::shared_ptr<Peer>> peer = members_.peer(control);
  if (!peer) co_return std::unexpected(RelayFailure{peer.error(), false});
  co_return co_await relay_to(loop_, **peer, carried, patience, response);
}

async::Task<bool> ToControl::answers(NodeId control) {
  if (is_own(control)) co_return co_await answers_at(loop_, client_, own_->socket);
  const Result<std::shared_ptr<Peer>> peer = members_.peer(control);
  if (!peer) co_return false;
  std::vector<async::Task<bool>> asked;
  for (const sys::Address& address : (*peer)->addresses)
    asked.push_back(answers_at(loop_, (*peer)->client, address));
  const std::size_t all = asked.size();
  const std::vector<bool> answered = co_await async::all_of(loop_, std::move(asked), all);
  co_return std::ranges::count(answered, true) > 0;
}

async::Task<void> ToControl::return_to_own() {
  for (;;) {
    co_await loop_.sleep(kOwnControlLook);
    if (!own_ || is_own(preferred_) || !co_await answers_at(loop_, client_, own_->socket)) continue;
    log_info("link", "this node's own control answers again");
    turn(preferred_, own_->node);
  }
}

async::Task<void> ToControl::until_left(NodeId control) {
  const int before = departures_[control];
  while (departures_[control] == before) co_await left_.wait();
}

std::vector<NodeId> ToControl::in_turn() const {
  std::vector<NodeId> controls = members_.with_role("control");
  if (own_ && std::ranges::count(controls, own_->node) == 0) controls.push_back(own_->node);
  const auto first = std::ranges::find(controls, preferred_);
  if (first != controls.end()) std::ranges::rotate(controls, first);
  return controls;
}

// Once for all calls that find out at the same time.
void ToControl::leave(const NodeId& control) {
  const std::vector<NodeId> controls = in_turn();
  if (controls.size() < 2 || controls.front() != control) return;
  log_warning("link", "control on {} does not answer; asking {} from here on", control,
              controls[1]);
  turn(control, controls[1]);
}

void ToControl::turn(const NodeId& from, const NodeId& to) {
  ++departures_[from];
  preferred_ = to;
  left_.notify_all();
}

}  // namespace perigee::link
