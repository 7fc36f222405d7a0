// Outliers: machines that keep failing are set aside for a while (passive ejection), whatever
// their checks say: those look every few seconds, requests all the time.
//
//   outliers.failed(target, now);      // it refused, cut or was silent
//   outliers.answered(machine);        // whatever it said: it serves
//   outliers.aside(target, now)        // for how long still; zero: it may be chosen
//   outliers.tried(machine, now);      // it was chosen: while that one finds out, no other goes
//
// kFailuresInRow set one aside, for kFirstAside; then one request tries it. Each failure from there
// on doubles the time up to kLastAside; an answer forgets it all. How many may be set aside at once
// is routing::keep_half. Only who fails is kept here, so the hot path finds nothing.
// Owned by State, on the router's loop. Pure: told the time.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/time.h"
#include "model/types.h"

namespace perigee::router {

class Outliers {
 public:
  // True: it is set aside from now on.
  bool failed(const model::RouteTarget& target, MonotonicTime now);
  void answered(const std::string& machine);
  void tried(const std::string& machine, MonotonicTime now);
  Duration aside(const model::RouteTarget& target, MonotonicTime now) const;
  std::size_t known() const { return machines_.size(); }
  std::uint64_t ejections() const { return ejections_; }

 private:
  struct Record {
    std::string instance;  // another one begins anew
    int failures = 0;      // in a row
    int times = 0;         // set aside, in a row
    MonotonicTime until{};
    MonotonicTime last{};
  };
  void forget_old(MonotonicTime now);

  std::unordered_map<std::string, Record> machines_;  // by id
  std::uint64_t ejections_ = 0;
};

}  // namespace perigee::router
