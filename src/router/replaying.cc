#include "router/replaying.h"

#include <algorithm>

namespace perigee::router {
namespace {

Problem bad_replay(std::string_view code, std::string reason) {
  return {.status = 502, .code = std::string(code), .reason = std::move(reason)};
}

// The app's service for requests that come by such a port, or its first one for requests at all.
const model::Service* http_service(const routing::RoutePtr& route, int port) {
  const auto same = routing::find_port(route, model::Protocol::tcp, port);
  if (same && same->port->has(model::Handler::http)) return same->service;
  const auto found = std::ranges::find_if(route->services, [](const model::Service& service) {
    return std::ranges::any_of(
        service.ports, [](const model::Port& each) { return each.has(model::Handler::http); });
  });
  return found == route->services.end() ? nullptr : &*found;
}

// As fly-replay-failed has it.
std::string_view failure_reason(const Problem& problem, bool late) {
  if (late) return "timeout";
  const bool tried = problem.code.starts_with("upstream_") || problem.code == "node_unreachable";
  return tried ? "retries_exhausted" : "no_candidate";
}

}  // namespace

std::optional<Problem> Replaying::begin(Transaction& t, const Result<Replay>& replay) {
  if (auto problem = refusal(t, replay)) return problem;
  Leg next;
  if (auto problem = find_app(t, *replay, next)) return problem;
  const MonotonicTime now = loop_.now();
  next.wish = replay->wish;
  if (replay->elsewhere) next.wish.avoided = MachineId(t.machine);
  next.changes = replay->transform;
  if (replay->timeout) next.until = now + *replay->timeout;
  const std::string from = source(t, *replay);
  next.fields.add("perigee-replay-src", from);
  next.fields.add("fly-replay-src", from);
  ++count_;
  asker_ = std::make_unique<Asker>(Asker{.leg = std::move(t.leg),
                                         .machine = MachineId(t.machine),
                                         .fallback = replay->fallback,
                                         .at = now});
  t.leg = std::move(next);
  return std::nullopt;
}

std::optional<Problem> Replaying::refusal(Transaction& t, const Result<Replay>& replay) const {
  if (!replay) {
    return bad_replay("invalid_replay",
                      "The app's replay makes no sense: " + replay.error().context + ".");
  }
  if (fell_back_) {
    return bad_replay("replay_after_fallback",
                      "The app wants a request replayed that came back from a failed replay.");
  }
  if (count_ >= kMaxReplays) {
    return bad_replay("too_many_replays",
                      fmt::format("The request was replayed {} times already.", kMaxReplays));
  }
  if (t.body.rewind()) return std::nullopt;
  return Problem{.status = 413,
                 .code = "replay_body_too_large",
                 .reason = fmt::format("The app wants the request replayed, and its body is more "
                                       "than the router keeps of one ({} KiB).",
                                       kMaxReplay / 1024)};
}

std::optional<Problem> Replaying::find_app(const Transaction& t, const Replay& replay,
                                           Leg& leg) const {
  const bool same = replay.app.empty() || replay.app == t.leg.route->app.str();
  leg.route = same ? t.leg.route : state_.table->find_app(replay.app);
  if (leg.route == nullptr) {
    return bad_replay("replay_app_unknown",
                      fmt::format("The app wants the request replayed to app {}, which does not "
                                  "exist.",
                                  replay.app));
  }
  leg.service = same ? t.leg.service : http_service(leg.route, t.port->port);
  if (leg.service != nullptr) return std::nullopt;
  return bad_replay(
      "replay_no_service",
      fmt::format("The app wants the request replayed to app {}, which has no HTTP service.",
                  replay.app));
}

std::string Replaying::source(const Transaction& t, const Replay& replay) const {
  std::string text = fmt::format("instance={};region={};t={}", t.machine, t.machine_region.str(),
                                 clock_.wall().ns / 1000);
  if (!replay.state.empty()) text += ";state=" + replay.state;
  return text;
}

bool Replaying::fall_back(Transaction& t, const Problem& problem) {
  const bool wanted = count_ > 0 && !fell_back_ && asker_->fallback != ReplayFallback::none;
  if (!wanted || problem.may_have_acted || !t.body.rewind()) return false;
  fell_back_ = true;
  const MonotonicTime now = loop_.now();
  const std::string failed = fmt::format(
      "instance={};app={};region={};replay_source={};reason={};elapsed_ms={}",
      t.leg.wish.machine.str(), t.leg.route->app.str(),
      t.leg.wish.regions.empty() ? "" : t.leg.wish.regions.front().str(), asker_->machine.str(),
      failure_reason(problem, now >= t.leg.until), to_ms(now - asker_->at));
  Leg back;
  back.route = asker_->leg.route;
  back.service = asker_->leg.service;
  back.wish.machine = asker_->machine;
  back.wish.machine_only = asker_->fallback == ReplayFallback::force_self;
  back.fields.add("perigee-replay-failed", failed);
  back.fields.add("fly-replay-failed", failed);
  t.leg = std::move(back);
  return true;
}

}  // namespace perigee::router
