#include "router/dialer.h"

#include <algorithm>
#include <vector>

#include "async/combine.h"
#include "routing/choose.h"

namespace perigee::router {
namespace {

async::Task<void> next_table(async::Notify& changed) {
  co_await changed.wait();
}
async::Task<void> sleep_for(async::Loop& loop, Duration time) {
  co_await loop.sleep(time);
}

const model::Service* service_of(const model::AppRoute& route, int internal_port) {
  const auto found = std::ranges::find_if(route.services, [=](const model::Service& each) {
    return each.protocol == model::Protocol::tcp && each.internal_port == internal_port;
  });
  return found == route.services.end() ? nullptr : &*found;
}

}  // namespace

struct Dialer::Search {
  MonotonicTime begun;
  MonotonicTime until;
  Duration pause = kFirstRetryPause;
  Tried tried{};
  std::string trouble{};  // why the last attempt failed, or no machine could be started
  std::vector<std::string> machines{};  // of the app
  int hard_limit = 0;
  MonotonicTime queue_until{};
  std::unique_ptr<AdmissionQueue::Ticket> ticket{};
};

Dialer::Dialer(sys::Host& host, State& state, backhaul::Client& nodes, Waker& waker,
               std::string own_node, Bounds bounds)
    : host_(host),
      state_(state),
      nodes_(nodes),
      waker_(waker),
      own_node_(std::move(own_node)),
      bounds_(bounds),
      candidates_(host.loop, state, nodes, own_node_) {}

async::Task<Result<Dialed>> Dialer::dial(Call call) {
  const MonotonicTime now = host_.loop.now();
  Search search{.begun = now, .until = now + bounds_.reach};
  for (int attempts = 0;;) {
    const Choice choice = choose(call, search);
    const routing::Outcome outcome = choice.decision.outcome;
    if (must_queue(call, search, outcome)) {
      CO_TRY_VOID(co_await queue(call, search));
      continue;
    }
    if (outcome == routing::Outcome::chosen) {
      ++attempts;
      auto dialed = co_await attempt(call, search, choice.target);
      if (dialed) {
        dialed->attempts = attempts;
        co_return dialed;
      }
      if (host_.loop.now() < search.until) continue;
    }
    const bool may_wait =
        outcome == routing::Outcome::wait || outcome == routing::Outcome::none_reachable;
    if (!may_wait || host_.loop.now() >= search.until) {
      co_return fail(give_up(call, search, outcome));
    }
    co_await pause(search);
  }
}

async::Task<Result<Dialed>> Dialer::attempt(const Call& call, Search& search,
                                            const model::RouteTarget& target) {
  if (search.ticket) search.ticket->leave();
  state_.outliers.tried(target.machine.str(), host_.loop.now());
  std::optional<backhaul::Refusal> refusal;
  auto dialed = co_await connect(call, target, search.hard_limit, refusal);
  if (dialed) {
    state_.outliers.answered(target.machine.str());
    co_return dialed;
  }
  ++state_.counters.connect_failures;
  const bool here = target.node.str() == own_node_;
  const bool full = refusal == backhaul::Refusal::at_limit;
  if ((here && !full) || refusal == backhaul::Refusal::not_listening) {
    state_.outliers.failed(target, host_.loop.now());
  }
  (full ? search.tried.full : search.tried.refused).insert(target.machine.str());
  search.trouble = fmt::format("machine {}: {}", target.machine, dialed.error().context);
  co_return dialed;
}

// Who comes while others wait goes behind them.
bool Dialer::must_queue(const Call& call, const Search& search, routing::Outcome outcome) const {
  if (outcome == routing::Outcome::all_at_limit) return true;
  return outcome == routing::Outcome::chosen && search.ticket == nullptr && search.hard_limit > 0 &&
         state_.queue.has_line(call.app, {});
}

// Until a machine may have a place; an error: there is none, or not in time.
async::Task<Result<void>> Dialer::queue(const Call& call, Search& search) {
  if (search.ticket == nullptr) {
    search.ticket = std::make_unique<AdmissionQueue::Ticket>(state_.queue, call.app, std::string());
    search.queue_until = host_.loop.now() + bounds_.queue;
    ++state_.counters.queued;
  }
  const bool late = host_.loop.now() >= search.queue_until;
  if (late || !search.ticket->enter(search.machines)) {
    co_return fail(give_up(call, search, routing::Outcome::all_at_limit));
  }
  if (!search.tried.full.empty()) co_await host_.loop.sleep(kFullPause);
  for (const std::string& machine : search.machines) state_.loads.await(machine);
  co_await search.ticket->turn(search.queue_until);
  search.tried = {};
  search.until = std::max(search.until, host_.loop.now() + bounds_.reach);
  co_return Result<void>();
}

Dialer::Choice Dialer::choose(const Call& call, Search& search) {
  const routing::RoutePtr route = state_.table->find_app(call.app);
  const model::Service* service =
      route == nullptr ? nullptr : service_of(*route, call.internal_port);
  if (service == nullptr) return {.decision = {}};  // there are no machines
  const auto candidates = candidates_.of(*route, {}, search.tried);
  const auto policy = routing::Policy::of(service->concurrency);
  search.hard_limit = policy.hard_limit;
  search.machines.clear();
  for (const auto& each : route->targets) search.machines.push_back(each.machine.str());
  Choice choice{.decision = routing::choose(candidates, policy, state_.turn++)};
  if (choice.decision.index) choice.target = *candidates[*choice.decision.index].target;
  wake(call, search, choice.decision, *service);
  return choice;
}

// Has a machine started where that is due, and gives the one that comes its time.
void Dialer::wake(const Call& call, Search& search, const routing::Decision& decision,
                  const model::Service& service) {
  if (decision.wake) waker_.ask(call.app);
  if (decision.coming && service.autostart) {
    search.until = search.begun + std::max(bounds_.reach, bounds_.wake);
  }
  if (decision.outcome != routing::Outcome::wait || !decision.wake) return;
  const auto trouble = waker_.trouble(call.app);
  if (!trouble) return;
  search.trouble = trouble->reason;
  if (trouble->refused) search.until = host_.loop.now();
}

// `refusal`: what the other node's router said, where it did.
async::Task<Result<Dialed>> Dialer::connect(const Call& call, const model::RouteTarget& target,
                                            int hard_limit,
                                            std::optional<backhaul::Refusal>& refusal) {
  const Deadline deadline = host_.loop.deadline_in(kConnectTimeout);
  Dialed dialed{.stream = {}, .machine = target.machine.str(), .node = target.node.str()};
  if (dialed.node != own_node_) {
    dialed.there = backhaul::LoadView::Slot(state_.remote_loads, dialed.machine);
    auto stream = co_await nodes_.connect({.hop = {.app = call.app,
                                                   .machine = dialed.machine,
                                                   .node = dialed.node,
                                                   .port = call.internal_port},
                                           .client = call.client,
                                           .listener_port = call.listener_port,
                                           .request_id = call.id},
                                          deadline);
    if (!stream) {
      refusal = stream.error().told.refusal;
      co_return fail(std::move(stream).error().request.error);
    }
    dialed.stream = *std::move(stream);
    co_return dialed;
  }
  auto slot = state_.loads.take(dialed.machine, hard_limit);
  if (!slot) {  // another loop of this process has taken the last place since the choice
    refusal = backhaul::Refusal::at_limit;
    co_return fail(Code::unavailable, "it is at its hard limit");
  }
  dialed.here = *std::move(slot);
  CO_TRY(const sys::Address address,
         sys::Address::ip(target.address, static_cast<std::uint16_t>(call.internal_port)));
  CO_TRY(dialed.stream, co_await host_.network.connect(address, deadline));
  co_return dialed;
}

// Until the routes change, or a little time has passed; then machines that refused count again.
async::Task<void> Dialer::pause(Search& search) {
  const Duration left = search.until - host_.loop.now();
  co_await async::first_of(host_.loop, sleep_for(host_.loop, std::min(search.pause, left)),
                           next_table(state_.changed));
  search.pause = std::min(search.pause * 2, kLastRetryPause);
  search.tried = {};
}

Error Dialer::give_up(const Call& call, const Search& search, routing::Outcome outcome) {
  std::string reason = fmt::format("app {}: {}", call.app, routing::describe(outcome));
  if (!search.trouble.empty()) reason += ": " + search.trouble;
  return Error::make(Code::unavailable, std::move(reason));
}

}  // namespace perigee::router
