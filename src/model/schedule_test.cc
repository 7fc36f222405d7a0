// Slots of schedules, over month ends and missed times.
#include "model/schedule.h"

#include <doctest/doctest.h>

namespace perigee::model {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr WallTime kJanuary31{1'769'860'800 * kSecond};  // 2026-01-31 12:00 UTC

TEST_CASE("the next slot of each schedule, from the creation on") {
  struct Row {
    Schedule schedule;
    Duration after;  // from the creation
    const char* next;
  };
  const Row rows[] = {
      {Schedule::hourly, -1min, "2026-01-31T13:00:00.000Z"},
      {Schedule::hourly, 0s, "2026-01-31T13:00:00.000Z"},
      {Schedule::hourly, 59min, "2026-01-31T13:00:00.000Z"},
      {Schedule::hourly, 1h, "2026-01-31T14:00:00.000Z"},
      {Schedule::daily, 25h, "2026-02-02T12:00:00.000Z"},
      {Schedule::weekly, 0s, "2026-02-07T12:00:00.000Z"},
      {Schedule::weekly, 24h * 13, "2026-02-14T12:00:00.000Z"},
      {Schedule::monthly, 0s, "2026-02-28T12:00:00.000Z"},        // there is no 31st
      {Schedule::monthly, 24h * 28, "2026-03-31T12:00:00.000Z"},  // and here there is
      {Schedule::monthly, 24h * 58, "2026-03-31T12:00:00.000Z"},
      {Schedule::monthly, 24h * 59, "2026-04-30T12:00:00.000Z"},
      {Schedule::monthly, 24h * 340, "2027-01-31T12:00:00.000Z"},  // over the year's end
  };
  for (const Row& row : rows) {
    CAPTURE(row.next);
    const auto next = next_slot(row.schedule, kJanuary31, kJanuary31 + row.after);
    REQUIRE(next.has_value());
    CHECK(to_rfc3339(*next) == row.next);
  }
  CHECK_FALSE(next_slot(Schedule::none, kJanuary31, kJanuary31).has_value());
}

TEST_CASE("a slot is due once, and those that were missed are made up for once") {
  const auto due = [](Schedule schedule, WallTime seen, Duration now) {
    const auto slot = due_slot(schedule, kJanuary31, seen, kJanuary31 + now);
    return slot ? to_rfc3339(*slot) : std::string("none");
  };
  CHECK(due(Schedule::hourly, {}, 59min) == "none");
  CHECK(due(Schedule::hourly, {}, 1h) == "2026-01-31T13:00:00.000Z");
  CHECK(due(Schedule::hourly, kJanuary31 + 1h, 1h + 1s) == "none");
  CHECK(due(Schedule::hourly, kJanuary31 + 1h, 5h + 1s) == "2026-01-31T17:00:00.000Z");
  CHECK(due(Schedule::hourly, kJanuary31 + 5h, 5h + 2s) == "none");
  CHECK(due(Schedule::monthly, {}, 24h * 27) == "none");
  CHECK(due(Schedule::monthly, {}, 24h * 28) == "2026-02-28T12:00:00.000Z");
  CHECK(due(Schedule::monthly, kJanuary31 + 24h * 28, 24h * 30) == "none");
  CHECK(due(Schedule::daily, {}, -5min) == "none");  // the clock was set back
  CHECK(due(Schedule::none, {}, 24h * 300) == "none");
}

}  // namespace
}  // namespace perigee::model
