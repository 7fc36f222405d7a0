#include "control/leadership.h"

#include <algorithm>
#include <limits>

#include "async/combine.h"
#include "base/log.h"
#include "json/json.h"

namespace perigee::control {
namespace {

constexpr std::string_view kLeaders = "/leaders/";
constexpr std::string_view kControls = "/controls/";
constexpr int kBeatAttempts = 4;  // where another control is faster
constexpr MonotonicTime kForEver{std::numeric_limits<std::int64_t>::max()};

std::string control_key(const NodeId& node) {
  return std::string(kControls) + node.str();
}

json::Value to_json(const LeaderRecord& record) {
  return json::object(
      {{"holder", record.holder.str()}, {"process", record.process}, {"epoch", record.epoch}});
}

Result<LeaderRecord> leader_record_from(std::string_view text) {
  TRY(const json::Value value, json::parse(text));
  LeaderRecord record;
  TRY(const std::string holder, value.require_string("holder"));
  record.holder = NodeId(holder);
  TRY(record.process, value.require_string("process"));
  TRY(record.epoch, value.require_int("epoch"));
  return record;
}

bool is_of(const store::Entry& control, std::string_view process) {
  const auto value = json::parse(control.value);
  return value && value->optional_string("process") == process;
}

async::Task<bool> one_change(async::Notify& changed) {
  co_await changed.wait();
  co_return true;
}

}  // namespace

Leadership::Leadership(async::Loop& loop, store::Store& store, LeadershipConfig config)
    : loop_(loop), store_(store), config_(std::move(config)), changed_(loop) {}

std::string Leadership::own_key() const {
  return control_key(config_.node);
}

const Fence& Leadership::add(const std::string& task) {
  Task& added = tasks_[task];
  added.fence.key = std::string(kLeaders) + task;
  return added.fence;
}

bool Leadership::leads(const std::string& task) const {
  return tasks_.at(task).fence.revision != 0 && loop_.now() < valid_until_;
}

async::Task<void> Leadership::run() {
  for (;;) {
    Result<void> done = co_await look();
    for (int i = 1; i <= kBeatAttempts && done; ++i) {
      done = co_await beat();
      if (done || done.error().code != Code::conflict || i == kBeatAttempts) break;
      done = co_await look();
    }
    if (!done) log_warning("control", "leadership: {}", done.error().context);
    const bool settled = done && config_.controls == LeadershipConfig::Controls::one;
    while (settled || superseded_) co_await changed_.wait();
    co_await loop_.sleep(config_.beat);
  }
}

// Reads who leads and who lives.
async::Task<Result<void>> Leadership::look() {
  CO_TRY(const store::Listing leaders, co_await store_.list(std::string(kLeaders)));
  CO_TRY(const store::Listing controls, co_await store_.list(std::string(kControls)));
  for (auto& [name, task] : tasks_) task.revision = 0;
  for (const store::Entry& entry : leaders.entries) note(entry);
  for (auto& [name, task] : tasks_) {
    const bool ours = task.record.process == config_.process;
    if (ours && task.revision != 0)
      task.fence.revision = task.revision;  // also a claim whose answer was lost
    else if (task.fence.revision != 0)
      give_up(task);
  }
  note_controls(controls);
  co_return Result<void>();
}

void Leadership::note_controls(const store::Listing& listing) {
  std::map<std::string, Seen> now;
  const auto see = [&](const std::string& key, store::Revision revision) {
    const auto known = controls_.find(key);
    const bool same = known != controls_.end() && known->second.revision == revision;
    now[key] = same ? known->second : Seen{revision, loop_.now()};
  };
  for (const store::Entry& entry : listing.entries) {
    see(entry.key, entry.revision);
    const bool ours = beats_ == 0 || entry.key != own_key() || is_of(entry, config_.process);
    if (ours || superseded_) continue;
    superseded_ = true;
    log_warning("control", "another control of node {} has taken over", config_.node);
  }
  for (const auto& [name, task] : tasks_) {  // holders without a beat are waited for as well
    const std::string key = control_key(task.record.holder);
    if (task.revision != 0 && !now.contains(key)) see(key, 0);
  }
  controls_ = std::move(now);
}

void Leadership::note(const store::Entry& leader) {
  const auto found = tasks_.find(leader.key.substr(kLeaders.size()));
  if (found == tasks_.end()) return;  // of another version
  found->second.revision = leader.revision;
  auto record = leader_record_from(leader.value);
  found->second.record = record ? *std::move(record) : LeaderRecord{};
}

void Leadership::give_up(Task& task) {
  log_info("control", "{}: now of node {}", task.fence.key, task.record.holder);
  task.fence.revision = 0;
  changed_.notify_all();
}

// One's own node's is free at the start: the process before is gone, or fenced off from here on.
bool Leadership::may_claim(const Task& task) const {
  if (task.fence.revision != 0) return false;
  if (task.revision == 0 || config_.controls == LeadershipConfig::Controls::one) return true;
  if (beats_ == 0 && task.record.holder == config_.node) return true;
  const Seen& holder = controls_.at(control_key(task.record.holder));
  return loop_.now() - holder.since >= config_.claim_after;
}

// A claim holds only if neither the record nor the holder's beat has changed.
std::vector<Leadership::Claim> Leadership::add_claims(store::Transaction& transaction) const {
  std::vector<Claim> claims;
  for (const auto& [name, task] : tasks_) {
    if (!may_claim(task)) continue;
    transaction.expect(task.fence.key, task.revision);
    const std::string holder = control_key(task.record.holder);
    if (task.revision != 0 && holder != own_key())
      transaction.expect(holder, controls_.at(holder).revision);
    const LeaderRecord next{config_.node, config_.process, task.record.epoch + 1};
    transaction.put(task.fence.key, to_json(next).dump());
    claims.push_back({name, next.epoch});
  }
  return claims;
}

// One transaction: that this control lives, that it still leads what it leads, and what it claims.
async::Task<Result<void>> Leadership::beat() {
  if (superseded_) {
    for (auto& [name, task] : tasks_) give_up(task);
    co_return fail(Code::cancelled, "this control leads nothing any more");
  }
  const MonotonicTime begun = loop_.now();
  store::Transaction transaction;
  for (const auto& [name, task] : tasks_) {
    if (task.fence.revision != 0) transaction.expect(task.fence.key, task.fence.revision);
  }
  const auto own = controls_.find(own_key());
  transaction.expect(own_key(), own == controls_.end() ? 0 : own->second.revision);
  const json::Value record = json::object({{"process", config_.process}, {"beats", beats_ + 1}});
  transaction.put(own_key(), record.dump());
  const std::vector<Claim> claims = add_claims(transaction);
  CO_TRY(const store::Revision revision, co_await store_.commit(std::move(transaction)));
  ++beats_;
  controls_[own_key()] = {revision, begun};
  const bool alone = config_.controls == LeadershipConfig::Controls::one;
  valid_until_ = alone ? kForEver : begun + config_.hold;
  for (const Claim& claim : claims) {
    Task& task = tasks_.at(claim.task);
    task.record = {config_.node, config_.process, claim.epoch};
    task.revision = task.fence.revision = revision;
    log_info("control", "leads {} (epoch {})", claim.task, claim.epoch);
  }
  changed_.notify_all();
  co_return Result<void>();
}

async::Task<void> Leadership::won(const std::string& task) {
  while (!leads(task)) co_await changed_.wait();
}

async::Task<void> Leadership::lost(const std::string& task) {
  while (leads(task)) co_await async::until(loop_, valid_until_, one_change(changed_));
}

async::Task<void> Leadership::lead(std::string task, Work work) {
  for (;;) {
    co_await won(task);
    co_await async::first_of(loop_, work(), lost(task));
  }
}

}  // namespace perigee::control
