#include "model/schedule.h"

#include <algorithm>
#include <chrono>

namespace perigee::model {
namespace {

using namespace std::chrono;

// The slot `number` months after the creation: the same day and time, or the month's last day.
WallTime month_slot(WallTime created, int number) {
  const sys_time<nanoseconds> at{nanoseconds(created.ns)};
  const sys_days day = floor<days>(at);
  const year_month_day date{day};
  const year_month month = year_month{date.year(), date.month()} + months{number};
  const year_month_day_last end{month.year(), month_day_last{month.month()}};
  const year_month_day slot = month / std::min(date.day(), end.day());
  return {(sys_time<nanoseconds>(sys_days{slot}) + (at - day)).time_since_epoch().count()};
}

int months_between(WallTime from, WallTime to) {
  const auto month_of = [](WallTime time) {
    const year_month_day date{floor<days>(sys_time<nanoseconds>{nanoseconds(time.ns)})};
    return int{date.year()} * 12 + static_cast<int>(static_cast<unsigned>(date.month()));
  };
  return month_of(to) - month_of(from);
}

Duration period_of(Schedule schedule) {
  if (schedule == Schedule::hourly) return 1h;
  return schedule == Schedule::daily ? 24h : 7 * 24h;
}

// The newest slot at `now` or before, the creation itself at least.
WallTime last_slot(Schedule schedule, WallTime created, WallTime now) {
  if (now <= created) return created;
  if (schedule != Schedule::monthly)
    return created + (now - created) / period_of(schedule) * period_of(schedule);
  const int months = months_between(created, now);
  const WallTime slot = month_slot(created, months);
  return slot <= now ? slot : month_slot(created, months - 1);
}

}  // namespace

std::optional<WallTime> next_slot(Schedule schedule, WallTime created, WallTime after) {
  if (schedule == Schedule::none) return std::nullopt;
  const WallTime last = last_slot(schedule, created, after);
  if (schedule != Schedule::monthly) return last + period_of(schedule);
  return month_slot(created, months_between(created, last) + 1);
}

std::optional<WallTime> due_slot(Schedule schedule, WallTime created, WallTime seen, WallTime now) {
  if (schedule == Schedule::none) return std::nullopt;
  const WallTime last = last_slot(schedule, created, now);
  return last > std::max(created, seen) ? std::optional(last) : std::nullopt;
}

}  // namespace perigee::model
