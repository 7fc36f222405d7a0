#include "router/reach.h"

#include <algorithm>
#include <vector>

#include "async/combine.h"
#include "base/log.h"
#include "router/retry.h"

namespace perigee::router {
namespace {

async::Task<void> wait_for_table(async::Notify& changed) {
  co_await changed.wait();
}
async::Task<void> sleep_for(async::Loop& loop, Duration time) {
  co_await loop.sleep(time);
}

// Not what the request brought about, nor the way to the machine's node. Nonsense is an answer.
bool is_machines_failure(const backhaul::Failure& failure, bool here) {
  if (failure.request.from_body || failure.request.error.code == Code::data_loss) return false;
  if (failure.told.refusal) return *failure.told.refusal == backhaul::Refusal::not_listening;
  return here || !failure.told.failure.empty();
}

Problem at_hard_limit(const model::Concurrency& limits, std::string_view more) {
  const bool requests = limits.type == model::ConcurrencyType::requests;
  return {.status = 503,
          .code = "at_hard_limit",
          .reason = fmt::format("All of the app's machines are at their hard limit of {} {} "
                                "(concurrency.hard_limit){}.",
                                limits.hard_limit, requests ? "requests" : "connections", more),
          .retry_soon = true};
}

}  // namespace

// The search for a machine that takes the request.
struct Reach::Search {
  MonotonicTime begun;
  MonotonicTime until;
  Duration pause = kFirstRetryPause;
  Tried tried{};
  int repeats = 0;
  std::optional<Problem> last_failure{};
  std::string trouble{};      // why no machine could be started
  bool wake_refused = false;  // control said that it can't be
  MonotonicTime queue_until{};
  std::unique_ptr<AdmissionQueue::Ticket> ticket{};
  std::vector<routing::Candidate> candidates{};
  routing::Policy policy{};
  routing::RoutePtr route{};  // holds what the candidates point to
};

Reach::Reach(sys::Host& host, State& state, Attempts& attempts, backhaul::Client& nodes,
             backhaul::LoadFeed& loads, Waker& waker, std::string own_node, ReachBounds bounds)
    : host_(host),
      state_(state),
      attempts_(attempts),
      loads_(loads),
      waker_(waker),
      bounds_(bounds),
      own_node_(std::move(own_node)),
      candidates_(host.loop, state, nodes, own_node_) {}

async::Task<Reach::Found> Reach::find(Transaction& t) {
  const MonotonicTime now = host_.loop.now();
  Search search{.begun = now, .until = std::min(now + bounds_.reach, t.leg.until)};
  for (;;) {
    const routing::Decision decision = choose(t, search);
    prepare(t, search, decision);
    const Next next = next_step(t, search, decision);
    if (next == Next::attempt) {
      // Of a route that the search holds until it chooses again.
      auto done = co_await attempt(t, search, *search.candidates[*decision.index].target);
      if (done) co_return *std::move(done);
      if (host_.loop.now() < search.until) continue;
    }
    if (next == Next::queue) {
      if (auto problem = co_await queue(t, search)) co_return std::unexpected(*problem);
      continue;
    }
    if (next != Next::pause || host_.loop.now() >= search.until) {
      co_return std::unexpected(give_up(search, decision.outcome));
    }
    co_await pause(search);
  }
}

// Who comes while others wait goes behind them, even where a place has just become free.
Reach::Next Reach::next_step(const Transaction& t, const Search& search,
                             const routing::Decision& decision) const {
  const auto is_full = [&](const routing::Candidate& each) {
    return routing::judge(each, search.policy) == routing::Verdict::at_hard_limit;
  };
  switch (decision.outcome) {
    case routing::Outcome::chosen: {
      const bool others_first = search.ticket == nullptr && search.policy.hard_limit > 0 &&
                                state_.queue.has_line(t.leg.route->app.str(), line_of(t.leg.wish));
      return others_first ? Next::queue : Next::attempt;
    }
    case routing::Outcome::all_at_limit:
      return Next::queue;
    case routing::Outcome::wait:
      return search.wake_refused && std::ranges::any_of(search.candidates, is_full) ? Next::queue
                                                                                    : Next::pause;
    case routing::Outcome::none_reachable:
      return Next::pause;
    default:
      return Next::give_up;
  }
}

// By the newest table: it may have changed since the request came.
routing::Decision Reach::choose(Transaction& t, Search& search) {
  search.route = state_.table->find_app(t.leg.route->app.str());
  search.candidates.clear();
  if (search.route) {
    search.candidates = candidates_.of(*search.route, t.leg.wish, search.tried);
  }
  search.policy = routing::Policy::of(t.leg.service->concurrency);
  const routing::Decision decision =
      routing::choose(search.candidates, search.policy, state_.turn++);
  Choice choice{.request_id = t.request.request_id,
                .at = host_.clock.wall(),
                .host = t.host,
                .route = search.route,
                .candidates = search.candidates,
                .policy = search.policy,
                .decision = decision,
                .attempt = t.attempts + 1};
  if (std::exchange(t.chosen_before, true)) {
    state_.decisions.replace(std::move(choice));
  } else {
    state_.decisions.remember(std::move(choice));
  }
  follow_loads(search, decision);
  return decision;
}

// Where this node's own machines don't do, the nearest others' loads are followed, so that the next
// choices know them.
void Reach::follow_loads(const Search& search, const routing::Decision& decision) {
  std::vector<std::pair<Duration, const std::string*>> nodes;
  const bool chosen = decision.outcome == routing::Outcome::chosen;
  if (!chosen && decision.outcome != routing::Outcome::all_at_limit) return;
  if (chosen && search.candidates[*decision.index].target->node.str() == own_node_) return;
  for (const routing::Candidate& each : search.candidates) {
    const std::string& node = each.target->node.str();
    if (each.reachable && node != own_node_) nodes.emplace_back(each.rtt, &node);
  }
  const auto count = std::min<std::size_t>(nodes.size(), kFollowedLoads);
  const auto end = nodes.begin() + static_cast<std::ptrdiff_t>(count);
  std::ranges::partial_sort(nodes, end, {}, &std::pair<Duration, const std::string*>::first);
  for (auto each = nodes.begin(); each != end; ++each) loads_.follow(*each->second);
}

// Has a machine started where that is due, and gives the one that comes its time.
void Reach::prepare(Transaction& t, Search& search, const routing::Decision& decision) {
  const std::string& app = t.leg.route->app.str();
  if (decision.wake) waker_.ask(app);
  if (decision.coming && t.leg.service->autostart) {
    search.until = std::min(search.begun + std::max(bounds_.reach, bounds_.wake), t.leg.until);
  }
  if (decision.outcome != routing::Outcome::wait || !decision.wake) return;
  const auto trouble = waker_.trouble(app);
  if (!trouble) return;
  search.trouble = trouble->reason;
  search.wake_refused = trouble->refused;
  if (trouble->refused) search.until = host_.loop.now();
}

// Nullopt: not taken, and another attempt is allowed.
async::Task<std::optional<Reach::Found>> Reach::attempt(Transaction& t, Search& search,
                                                        const model::RouteTarget& target) {
  if (search.ticket) search.ticket->leave();
  state_.outliers.tried(target.machine.str(), host_.loop.now());
  t.body.record(state_.budgets.open(t.leg.route->app.str(), Resource::kept_bytes));
  auto done = co_await attempts_.make(t, target);
  watch(target, done);
  if (done) co_return Found(*std::move(done));
  if (auto problem = judge_failure(t, search, target, done.error())) {
    co_return Found(std::unexpected(*std::move(problem)));
  }
  co_return std::nullopt;
}

// What the attempt says of the machine, whatever becomes of the request.
void Reach::watch(const model::RouteTarget& target, const Attempt& done) {
  if (done) return state_.outliers.answered(target.machine.str());
  if (!is_machines_failure(done.error(), target.node.str() == own_node_)) return;
  if (state_.outliers.failed(target, host_.loop.now())) {
    log_warning("router", "machine {} is set aside: {}", target.machine,
                done.error().request.error.context);
  }
}

// Nullopt where another attempt is allowed.
std::optional<Problem> Reach::judge_failure(Transaction& t, Search& search,
                                            const model::RouteTarget& target,
                                            const backhaul::Failure& failure) {
  const Code code = failure.request.error.code;
  if (failure.request.from_body) {
    const bool slow = code == Code::deadline_exceeded;
    return Problem{
        .status = slow ? 408 : 400,
        .code = "request_body",
        .reason = "The request's body could not be read: " + failure.request.error.context,
        .may_have_acted = true};
  }
  const Problem problem = unanswered(t, target, failure);
  const Retry retry = may_retry({.method = t.request.head.method,
                                 .sent = failure.request.sent,
                                 .cut = code == Code::end_of_stream || code == Code::unavailable,
                                 .body_kept = t.body.rewind(),
                                 .repeats = search.repeats});
  if (retry == Retry::no) return problem;
  // The time that the machine had it is none of the search's: a node that is silent is given up
  // after as long as a search may take (backhaul::kDead).
  if (retry == Retry::repeat) {
    ++search.repeats;
    search.until = std::max(search.until, host_.loop.now() + bounds_.reach);
  }
  ++(retry == Retry::repeat ? state_.counters.repeats : state_.counters.connect_failures);
  search.last_failure = problem;
  if (failure.told.refusal == backhaul::Refusal::at_limit) {
    search.tried.full.insert(target.machine.str());
  } else {
    search.tried.refused.insert(target.machine.str());
  }
  return std::nullopt;
}

// What the client is told where nothing better comes.
Problem Reach::unanswered(const Transaction& t, const model::RouteTarget& target,
                          const backhaul::Failure& failure) const {
  const Error& error = failure.request.error;
  const bool late = error.code == Code::deadline_exceeded;
  const bool elsewhere = t.machine_node != own_node_;
  const std::string where =
      elsewhere ? fmt::format(" (machine {} on node {})", t.machine, target.node) : std::string();
  if (failure.request.sent) {
    return {
        .status = late ? 504 : 502,
        .code = late ? "upstream_timeout" : "upstream_failed",
        .reason = late ? fmt::format("The app did not answer within {} s{}.",
                                     to_ms(kUpstreamHead) / 1000, where)
                       : fmt::format("The app did not answer properly{}: {}", where, error.context),
        .may_have_acted = true};
  }
  const auto refusal = failure.told.refusal;
  if (refusal == backhaul::Refusal::at_limit) {
    return at_hard_limit(t.leg.service->concurrency, "");
  }
  if (!elsewhere || refusal == backhaul::Refusal::not_listening) {
    const int port = t.leg.service->internal_port;
    return {.status = late ? 504 : 502,
            .code = late ? "upstream_timeout" : "upstream_refused",
            .reason = fmt::format("The app's machine does not accept connections on port {} ({}). "
                                  "The app must listen on 0.0.0.0:{}.",
                                  port, error.context, port),
            .retry_soon = true};
  }
  return {.status = 502,
          .code = "node_unreachable",
          .reason = fmt::format("The app's machine could not be reached: {}.", error.context),
          .retry_soon = true};
}

// Waits for a place at one of the candidates; a problem: there is none, or not in time.
async::Task<std::optional<Problem>> Reach::queue(const Transaction& t, Search& search) {
  const model::Concurrency& limits = t.leg.service->concurrency;
  if (search.ticket == nullptr) {
    search.ticket = std::make_unique<AdmissionQueue::Ticket>(state_.queue, t.leg.route->app.str(),
                                                             line_of(t.leg.wish));
    search.queue_until = std::min(host_.loop.now() + bounds_.queue, t.leg.until);
    ++state_.counters.queued;
  }
  if (host_.loop.now() >= search.queue_until) {
    co_return at_hard_limit(limits, fmt::format("; none became free within {:.3g} s",
                                                to_seconds(host_.loop.now() - search.begun)));
  }
  std::vector<std::string> machines;
  for (const routing::Candidate& each : search.candidates) {
    if (each.wish != routing::kNotWished) machines.push_back(each.target->machine.str());
  }
  if (!search.ticket->enter(machines)) {
    co_return at_hard_limit(limits, "; as many requests wait for one as may");
  }
  // A node that has just refused is not asked again at once, however often the line is woken: its
  // loads are about to be told.
  if (!search.tried.full.empty()) co_await host_.loop.sleep(kFullPause);
  for (const std::string& machine : machines) state_.loads.await(machine);
  co_await search.ticket->turn(search.queue_until);
  search.tried = {};
  search.until = std::max(search.until, std::min(host_.loop.now() + bounds_.reach, t.leg.until));
  co_return std::nullopt;
}

// Until the routes change, or a little time has passed; then machines that refused count again.
async::Task<void> Reach::pause(Search& search) {
  const Duration left = search.until - host_.loop.now();
  co_await async::first_of(host_.loop, sleep_for(host_.loop, std::min(search.pause, left)),
                           wait_for_table(state_.changed));
  search.pause = std::min(search.pause * 2, kLastRetryPause);
  search.tried = {};
}

Problem Reach::give_up(const Search& search, routing::Outcome outcome) const {
  if (search.last_failure) return *search.last_failure;
  if (!search.trouble.empty()) {
    return {.status = 503,
            .code = "wake_failed",
            .reason = "The app's machines rest, and none could be started: " + search.trouble,
            .retry_soon = true};
  }
  std::string reason = fmt::format("The app can't answer now: {}.", routing::describe(outcome));
  if (search.route != nullptr && !search.route->reason.empty())
    reason += " " + search.route->reason;
  return {.status = 503, .code = "no_machine", .reason = std::move(reason), .retry_soon = true};
}

}  // namespace perigee::router
