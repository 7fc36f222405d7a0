#include "control/route_sharing.h"

#include "async/combine.h"
#include "base/log.h"
#include "control/limits.h"

namespace perigee::control {
namespace {

async::Task<bool> one_change(async::Notify& changed) {
  co_await changed.wait();
  co_return true;
}

async::Task<Result<RouteMarks>> own_marks(async::Loop& loop, Publisher& publisher) {
  const std::int64_t revision = publisher.refresh();
  co_await publisher.routes().delivered(revision, loop.now() + kRoutesDelivery);
  co_return RouteMarks{{publisher.epoch(), revision}};
}

Result<std::map<MachineId, Drains::Phase>> drains_in(const json::Value& told) {
  std::map<MachineId, Drains::Phase> out;
  const json::Value* machines = told.find("machines");
  if (machines == nullptr) return out;
  if (!machines->is_array() || machines->items().size() > kMaxDrains)
    return fail(Code::invalid_argument, "machines: expected a list of at most {}", kMaxDrains);
  for (const json::Value& each : machines->items()) {
    TRY(const std::string machine, each.require_string("machine"));
    TRY(const bool leaving, each.optional_bool("leaving", false));
    out[MachineId(machine)] = leaving ? Drains::Phase::leaving : Drains::Phase::draining;
  }
  return out;
}

}  // namespace

json::Value RouteSharing::own_state() {
  json::Value machines = json::array();
  for (const auto& [machine, phase] : drains_.own()) {
    machines.push(
        json::object({{"machine", machine.str()}, {"leaving", phase == Drains::Phase::leaving}}));
  }
  return json::object({{"epoch", publisher_.epoch()},
                       {"sequence", ++sequence_},
                       {"store_revision", desired_.revision()},
                       {"machines", std::move(machines)}});
}

async::Task<RouteMarks> RouteSharing::spread() {
  const json::Value state = own_state();
  std::vector<async::Task<Result<RouteMarks>>> calls;
  calls.push_back(own_marks(peers_.loop(), publisher_));
  for (const NodeId& control : peers_.others()) calls.push_back(tell(control, state));
  RouteMarks marks;
  for (auto& each : co_await async::all_of(peers_.loop(), std::move(calls))) {
    if (each) marks.merge(*each);
  }
  co_return marks;
}

async::Task<Result<RouteMarks>> RouteSharing::tell(NodeId control, json::Value state) {
  http::RequestHead head{.method = "POST", .target = "/internal/v1/routes/share"};
  CO_TRY(const auto response,
         co_await peers_.ask(std::move(control), std::move(head), state.dump(), kSharePatience));
  if (response->head.status != 200) co_return fail(Code::unavailable, "{}", response->head.status);
  CO_TRY(const std::string text,
         co_await async::with_deadline(peers_.loop(), peers_.loop().deadline_in(kPeerPatience),
                                       http::read_all(response->body(), kMaxPeerAnswer), "routes"));
  CO_TRY(const json::Value answer, json::parse(text));
  CO_TRY(std::string epoch, answer.require_string("epoch"));
  CO_TRY(const std::int64_t revision, answer.require_int("revision"));
  co_return RouteMarks{{std::move(epoch), revision}};
}

async::Task<void> RouteSharing::spread_drains() {
  const json::Value state = own_state();
  std::vector<async::Task<Result<RouteMarks>>> calls;
  for (const NodeId& control : peers_.others()) calls.push_back(tell(control, state));
  co_await async::all_of(peers_.loop(), std::move(calls));
}

async::Task<void> RouteSharing::run() {
  async::Loop& loop = peers_.loop();
  std::map<MachineId, Drains::Phase> told;
  MonotonicTime renewal = loop.now();
  for (;;) {
    drains_.expire(loop.now());
    const bool news = drains_.own() != told;
    if (news || (!told.empty() && loop.now() >= renewal)) {
      told = drains_.own();
      renewal = loop.now() + kDrainRenewal;
      co_await spread_drains();
      continue;
    }
    co_await async::until(loop, loop.now() + kDrainRenewal, one_change(changed_));
  }
}

// What was overtaken by a later word of the same control counts for nothing.
bool RouteSharing::is_news(const NodeId& from, const Heard& heard) {
  Heard& last = heard_[from];
  if (last.epoch == heard.epoch && last.sequence >= heard.sequence) return false;
  last = heard;
  return true;
}

// The store first: a machine whose drain is over because it is to be destroyed must not come back.
async::Task<Result<json::Value>> RouteSharing::take(NodeId from, json::Value told) {
  CO_TRY(auto machines, drains_in(told));
  CO_TRY(const std::int64_t store_revision, told.optional_int("store_revision", 0));
  Heard heard;
  CO_TRY(heard.epoch, told.require_string("epoch"));
  CO_TRY(heard.sequence, told.require_int("sequence"));
  co_await desired_.reached(store_revision, peers_.loop().now() + kRoutesDelivery);
  if (is_news(from, heard))
    drains_.set_others(from, std::move(machines), peers_.loop().now() + kDrainLease);
  CO_TRY(const RouteMarks marks, co_await own_marks(peers_.loop(), publisher_));
  const auto& [epoch, revision] = *marks.begin();
  co_return json::object({{"epoch", epoch}, {"revision", revision}});
}

}  // namespace perigee::control
