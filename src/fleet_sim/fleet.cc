#include "fleet_sim/fleet.h"

#include <algorithm>

#include "async/combine.h"
#include "base/check.h"
#include "feed/follower.h"

namespace perigee::fleet_sim {
namespace {

async::Task<void> one_change(async::Notify& changed) {
  co_await changed.wait();
}
async::Task<void> sleep_until(async::Loop& loop, MonotonicTime at) {
  co_await loop.sleep(at - loop.now());
}

sys::Address control_address(sim::NodeIndex control) {
  return *sys::Address::ip(sim::SimNetwork::address_of(control), kFeedPort);
}

}  // namespace

Fleet::Fleet(Size size, std::uint64_t seed, int routers)
    : size_(size), simulation_(seed), reports_(size.nodes) {
  control_ = &simulation_.add_node("control");
  files_ = std::make_unique<ControlFiles>(ControlFiles::create(simulation_, control_->host()));
  for (store::Transaction& transaction : initial_records(size_))
    PERIGEE_CHECK(simulation_.run(store_.commit(std::move(transaction))).has_value());
  simulation_.network().set_all_links({.delay = 20ms, .jitter = 10ms});
  add_members(routers);
  control_->start([this](sim::Node& node) { return control_program(*this, node); });
  run_for(1s);
  adopt_machines();
  for (int i = 0; i < size_.nodes; ++i) {
    member(i).machine->start([this, i](sim::Node& node) { return member_program(*this, i, node); });
    note_touch(member(i));
  }
}

Fleet::~Fleet() {
  for (Member& member : members_) {
    if (member.runs()) member.machine->crash(sim::Crash::process);
  }
  if (control_->running()) control_->crash(sim::Crash::process);
}

void Fleet::add_members(int routers) {
  for (int i = 0; i < size_.nodes; ++i) {
    Member member;
    member.machine = &simulation_.add_node(node_at(i).str());
    member.guests = std::make_unique<Guests>(simulation_.loop(), census_, i);
    member.has_router = i < routers;
    members_.push_back(std::move(member));
    by_name_[node_at(i)] = i;
  }
}

void Fleet::adopt_machines() {
  for (const auto& [id, stored] : parts_->desired().machines()) {
    initial_[id] = stored.value;
    member(by_name_.at(stored.value.node)).guests->adopt(stored.value);
  }
}

const Fleet::Member& Fleet::member(const NodeId& id) const {
  return members_.at(static_cast<std::size_t>(by_name_.at(id)));
}

// ---- programs ----

async::Task<void> Fleet::control_program(Fleet& fleet, sim::Node& node) {
  struct Shown {
    Shown(Fleet& f, ControlParts& parts) : fleet(f) { fleet.parts_ = &parts; }
    ~Shown() { fleet.parts_ = nullptr; }
    Shown(const Shown&) = delete;
    Shown& operator=(const Shown&) = delete;
    Fleet& fleet;
  };
  ControlParts parts(node.host(), fleet.store_, *fleet.files_,
                     fmt::format("e{}", ++fleet.control_starts_));
  PERIGEE_CHECK((co_await parts.load()).has_value());
  parts.start_following();
  parts.start_working();
  PERIGEE_CHECK(parts.start_serving(control_address(node.index())).has_value());
  const Shown shown(fleet, parts);
  co_await take_reports(fleet, parts);
}

async::Task<void> Fleet::take_reports(Fleet& fleet, ControlParts& parts) {
  for (;;) {
    const sim::Datagram datagram = co_await fleet.control_->receive();
    if (const model::NodeReport* report = fleet.reports_.find(datagram.text))
      parts.observed().report(*report);
  }
}

async::Task<void> Fleet::member_program(Fleet& fleet, int index, sim::Node& node) {
  Member& self = fleet.member(index);
  const sys::Address control = control_address(fleet.control_index());
  const std::string name = node_at(index).str();
  worker::FeedDecoder decoder(*self.guests);
  feed::Follower follower(node.host(), control, "/internal/v1/feed/node/" + name, "worker",
                          decoder);
  async::TaskGroup tasks(node.host().loop);
  tasks.spawn(follower.run());
  if (self.has_router) {
    self.router = std::make_unique<router::Router>(
        node.host(), router::Config{.node = node_at(index),
                                    .region = city_of(fleet.size_, index),
                                    .domain = kDomain,
                                    .control = control,
                                    // On virtual time writing it costs no pause, and real time.
                                    .snapshot_path = index == 0 ? "/routes.json" : ""});
    tasks.spawn(self.router->run({}));
  }
  co_await report(fleet, index);
}

// At each change, and every few seconds.
async::Task<void> Fleet::report(Fleet& fleet, int index) {
  const Member& self = fleet.member(index);
  async::Loop& loop = fleet.simulation_.loop();
  MonotonicTime next = loop.now() + fleet.random().between(0s, kReportInterval);
  for (;;) {
    co_await async::first_of(loop, one_change(self.guests->changed()), sleep_until(loop, next));
    const bool some_boot = self.guests->boot();
    model::NodeReport report = empty_report(fleet.size_, index);
    report.machines = self.guests->statuses();
    self.machine->send(fleet.control_index(), fleet.reports_.post(index, std::move(report)));
    next = loop.now() + (some_boot ? kBootTime : kReportInterval);
    co_await loop.sleep(50ms);
  }
}

// ---- disturbances ----

void Fleet::note_touch(Member& member) {
  const bool now = member.runs() && !member.cut;
  if (std::exchange(member.in_touch, now) != now) member.since = simulation_.now();
}

void Fleet::cut(int node) {
  member(node).cut = true;
  simulation_.network().partition(member(node).machine->index(), control_index());
  note_touch(member(node));
}

void Fleet::mend(int node) {
  if (!std::exchange(member(node).cut, false)) return;
  simulation_.network().heal(member(node).machine->index(), control_index());
  note_touch(member(node));
}

void Fleet::crash(int node, sim::Crash kind) {
  Member& crashed = member(node);
  if (!crashed.runs()) return;
  crashed.machine->crash(kind);
  crashed.router.reset();
  if (kind == sim::Crash::power) crashed.guests->lose_power();
  note_touch(crashed);
}

void Fleet::restart(int node) {
  if (!member(node).runs()) member(node).machine->restart();
  note_touch(member(node));
}

void Fleet::crash_control() {
  if (control_->running()) control_->crash(sim::Crash::process);
}

void Fleet::restart_control() {
  if (control_->running()) return;
  control_->restart();
  control_since_ = simulation_.now();
}

void Fleet::heal() {
  restart_control();
  for (int i = 0; i < size_.nodes; ++i) {
    mend(i);
    restart(i);
  }
}

}  // namespace perigee::fleet_sim
