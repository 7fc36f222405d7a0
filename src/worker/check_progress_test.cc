#include "worker/check_progress.h"

#include <doctest/doctest.h>

#include <vector>

#include "model/checks.h"
#include "model/limits.h"
#include "worker/limits.h"

namespace perigee::worker {
namespace {

using model::CheckHealth;

constexpr WallTime kNow{1'700'000'000'000'000'000};
const CheckOutcome kPass{true, "HTTP 200 OK"};
const CheckOutcome kFail{false, "HTTP 500 Internal Server Error"};

struct Row {
  const char* what;
  std::vector<CheckOutcome> outcomes;
  Duration age;
  CheckHealth health;
  Duration pause;
};

TEST_CASE("what a check is after its outcomes, and when it is tried again") {
  const model::Check check{.interval = 15s, .grace_period = 10s};
  const std::vector<Row> rows{
      {"passes", {kPass}, 0s, CheckHealth::passing, 15s},
      {"fails in its grace period", {kFail}, 9s, CheckHealth::warning, 250ms},
      {"fails after it", {kFail}, 10s, CheckHealth::critical, 250ms},
      {"fails for long", {kFail, kFail, kFail, kFail}, 10s, CheckHealth::critical, 2s},
      {"passes after failures", {kFail, kFail, kPass}, 10s, CheckHealth::passing, 15s},
      {"passed, then failed once", {kPass, kFail}, 60s, CheckHealth::warning, 1s},
      {"the same in its grace period", {kPass, kFail}, 0s, CheckHealth::warning, 1s},
      {"passed, then failed twice", {kPass, kFail, kFail}, 60s, CheckHealth::critical, 15s},
      {"and goes on failing", {kPass, kFail, kFail, kFail}, 60s, CheckHealth::critical, 15s},
      {"and passes again", {kPass, kFail, kFail, kPass}, 60s, CheckHealth::passing, 15s},
      {"fails now and then", {kPass, kFail, kPass, kFail}, 60s, CheckHealth::warning, 1s},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    CheckProgress progress = new_progress("alive", kNow);
    for (const CheckOutcome& outcome : row.outcomes) {
      progress = after_outcome(check, std::move(progress), outcome, row.age, kNow);
    }
    CHECK(model::name(progress.status.status) == model::name(row.health));
    CHECK(pause_after(check, progress) == row.pause);
  }
}

TEST_CASE("a check that never passes is tried at its interval in the end") {
  const model::Check check{.interval = 5s, .grace_period = 0s};
  CheckProgress progress = new_progress("alive", kNow);
  for (int i = 0; i < 100; ++i) {
    progress = after_outcome(check, std::move(progress), kFail, 1h, kNow);
  }
  CHECK(pause_after(check, progress) == 5s);
}

TEST_CASE("the time is that of the last change, and the output is bounded") {
  const model::Check check;
  CheckProgress progress = after_outcome(check, new_progress("alive", kNow), kPass, 0s, kNow + 1s);
  CHECK(progress.status.updated_at == kNow + 1s);
  progress = after_outcome(check, std::move(progress), kPass, 0s, kNow + 2s);
  CHECK(progress.status.updated_at == kNow + 1s);
  const CheckOutcome loud{false, std::string(100'000, 'x')};
  progress = after_outcome(check, std::move(progress), loud, 0s, kNow + 3s);
  CHECK(progress.status.updated_at == kNow + 3s);
  CHECK(progress.status.output.size() == model::kMaxCheckOutput);
}

TEST_CASE("after the worker's restart a passing check is not held against its machine") {
  const model::Check check{.grace_period = 0s};
  const CheckProgress before = after_outcome(check, new_progress("alive", kNow), kPass, 1h, kNow);
  CheckProgress after = resumed_progress(before.status);
  CHECK(after == before);
  after = after_outcome(check, std::move(after), kFail, 1h, kNow);
  CHECK(after.status.status == CheckHealth::warning);
}

}  // namespace
}  // namespace perigee::worker
