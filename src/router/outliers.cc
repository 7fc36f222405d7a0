#include "router/outliers.h"

#include <algorithm>

#include "router/limits.h"

namespace perigee::router {
namespace {

Duration back_off(int times) {
  Duration time = kFirstAside;
  for (int i = 1; i < times && time < kLastAside; ++i) time *= 2;
  return std::min(time, kLastAside);
}

}  // namespace

bool Outliers::failed(const model::RouteTarget& target, MonotonicTime now) {
  if (!target.listening) return false;  // it has just started: that it refuses is no surprise
  if (machines_.size() >= kMaxOutliers) forget_old(now);
  if (machines_.size() >= kMaxOutliers) return false;
  Record& record = machines_[target.machine.str()];
  if (record.instance != target.instance_id) record = {.instance = target.instance_id};
  ++record.failures;
  record.last = now;
  if (record.times == 0 && record.failures < kFailuresInRow) return false;
  record.until = now + back_off(++record.times);
  ++ejections_;
  return true;
}

void Outliers::answered(const std::string& machine) {
  if (!machines_.empty()) machines_.erase(machine);
}

void Outliers::tried(const std::string& machine, MonotonicTime now) {
  if (machines_.empty()) return;
  const auto found = machines_.find(machine);
  if (found == machines_.end() || found->second.times == 0) return;
  found->second.until = std::max(found->second.until, now + kProbePatience);
}

Duration Outliers::aside(const model::RouteTarget& target, MonotonicTime now) const {
  if (machines_.empty()) return Duration::zero();
  const auto found = machines_.find(target.machine.str());
  if (found == machines_.end() || found->second.instance != target.instance_id) {
    return Duration::zero();
  }
  return std::max(Duration::zero(), found->second.until - now);
}

void Outliers::forget_old(MonotonicTime now) {
  std::erase_if(machines_, [now](const auto& each) {
    return each.second.last + kOutlierMemory < now && each.second.until < now;
  });
}

}  // namespace perigee::router
