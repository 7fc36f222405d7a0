#include "router/admission_queue.h"

#include <algorithm>

#include "async/combine.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

async::Task<void> wait_for(async::Notify& woken) {
  co_await woken.wait();
}
async::Task<void> sleep_until(async::Loop& loop, MonotonicTime at) {
  co_await loop.sleep_until(at);
}

}  // namespace

AdmissionQueue::Ticket::Ticket(AdmissionQueue& queue, std::string app, std::string line)
    : queue_(queue),
      app_(std::move(app)),
      line_(std::move(line)),
      number_(queue.next_number_++),
      woken_(queue.loop_) {}

bool AdmissionQueue::Ticket::enter(const std::vector<std::string>& machines) {
  if (inside_) return true;
  const auto known = queue_.apps_.find(app_);
  const std::size_t of_app = known == queue_.apps_.end() ? 0 : known->second.waiting;
  if (of_app >= kMaxAppQueue || queue_.waiting_ >= kMaxQueue) {
    ++queue_.refusals_;
    return false;
  }
  App& app = queue_.apps_[app_];
  app.lines[line_].emplace(number_, this);
  ++app.waiting;
  ++queue_.waiting_;
  inside_ = true;
  queue_.remember(app_, app, machines);
  return true;
}

// There may be more than one place: the next one looks, too.
void AdmissionQueue::Ticket::leave() {
  if (!inside_) return;
  inside_ = false;
  const auto app = queue_.apps_.find(app_);
  const auto line = app->second.lines.find(line_);
  line->second.erase(number_);
  --queue_.waiting_;
  if (--app->second.waiting == 0) {
    for (const std::string& machine : app->second.machines) queue_.app_of_.erase(machine);
    queue_.apps_.erase(app);
  } else if (line->second.empty()) {
    app->second.lines.erase(line);
  } else {
    wake_first(line->second);
  }
}

async::Task<void> AdmissionQueue::Ticket::turn(MonotonicTime until) {
  const MonotonicTime look_again = queue_.loop_.now() + kQueueLook;
  const MonotonicTime at = is_first() ? std::min(until, look_again) : until;
  co_await async::first_of(queue_.loop_, wait_for(woken_), sleep_until(queue_.loop_, at));
}

bool AdmissionQueue::Ticket::is_first() const {
  if (!inside_) return false;
  return queue_.apps_.at(app_).lines.at(line_).begin()->second == this;
}

bool AdmissionQueue::has_line(const std::string& app, const std::string& line) const {
  const auto known = apps_.find(app);
  return known != apps_.end() && known->second.lines.contains(line);
}

void AdmissionQueue::freed(const std::string& machine) {
  if (app_of_.empty()) return;
  const auto name = app_of_.find(machine);
  if (name == app_of_.end()) return;
  for (const auto& [line, waiting] : apps_.at(name->second).lines) wake_first(waiting);
}

void AdmissionQueue::routes_changed() {
  for (const auto& [name, app] : apps_) {
    for (const auto& [line, waiting] : app.lines) wake_first(waiting);
  }
}

void AdmissionQueue::wake_first(const Line& line) {
  line.begin()->second->woken_.notify_all();
}

void AdmissionQueue::remember(const std::string& name, App& app,
                              const std::vector<std::string>& machines) {
  for (const std::string& machine : machines) {
    if (!app_of_.try_emplace(machine, name).second) continue;
    app.machines.push_back(machine);
  }
}

std::string line_of(const routing::Wish& wish) {
  if (!wish.insists()) return {};
  std::string line = wish.machine_only ? "machine " + wish.machine.str() : std::string();
  if (wish.regions_only) {
    for (const RegionCode& region : wish.regions) line += " region " + region.str();
  }
  if (!wish.avoided.empty()) line += " not " + wish.avoided.str();
  return line;
}

}  // namespace perigee::router
