// plan_release: a deploy's next step, as a table of situations.
#include "control/release_plan.h"

#include <doctest/doctest.h>

namespace perigee::control {
namespace {

using Kind = ReleaseStep::Kind;
using model::MachineState;

constexpr WallTime kStart{1'000'000'000'000};
constexpr DeployTimes kTimes{
    .start = 60s, .listen = 30s, .elsewhere = 10s, .stable = 2s, .drain = 1s};

struct Situation {
  Situation() {
    view.app.name = AppName("hello");
    view.app.last_release = 2;
    view.app.current_release = 1;
    view.release.release.version = 2;
    view.release.release.image.digest = "sha256:…";
    view.release.release.status = model::ReleaseStatus::running;
  }
  ReleaseMachine& add(std::optional<MachineState> state, bool listening = false, int port = 8080) {
    ReleaseMachine each;
    each.machine.id = MachineId(fmt::format("m{}", view.ours.size() + 1));
    each.machine.instance_id = "I1";
    each.machine.created_at = kStart;
    if (port != 0) {
      each.machine.config.services.emplace_back();
      each.machine.config.services[0].internal_port = port;
    }
    if (state) {
      each.status.emplace();
      each.status->instance_id = "I1";
      each.status->state = *state;
      each.status->listening = listening;
      if (*state == MachineState::started) each.status->started_at = kStart + 5s;
    }
    view.ours.push_back(std::move(each));
    return view.ours.back();
  }
  ReleaseStep step(Duration after = 6s) const { return plan_release(view, kStart + after, kTimes); }
  ReleaseView view;
};

TEST_CASE_FIXTURE(Situation, "first the image gets its digest, then machines are made") {
  view.release.release.image.digest.clear();
  CHECK(step().kind == Kind::resolve);
  view.release.release.image.digest = "sha256:…";
  view.release.count = 3;
  CHECK(step() == ReleaseStep{.kind = Kind::create, .missing = 3});
  add(std::nullopt);
  CHECK(step() == ReleaseStep{.kind = Kind::create, .missing = 2});
}

TEST_CASE_FIXTURE(Situation, "all machines must run and listen before the switch") {
  view.release.count = 2;
  add(MachineState::started, true);
  add(MachineState::starting);
  CHECK(step() == ReleaseStep{.kind = Kind::wait, .wake_at = kStart + 60s});
  view.ours[1].status->state = MachineState::started;
  view.ours[1].status->started_at = kStart + 5s;
  CHECK(step() == ReleaseStep{.kind = Kind::wait, .wake_at = kStart + 35s});
  view.ours[1].status->listening = true;
  CHECK(step().kind == Kind::activate);
}

TEST_CASE_FIXTURE(Situation, "an app without services must run for a while to count") {
  add(MachineState::started, false, 0);
  CHECK(step(6s) == ReleaseStep{.kind = Kind::wait, .wake_at = kStart + 7s});
  CHECK(step(7s).kind == Kind::activate);
}

TEST_CASE_FIXTURE(Situation, "an app that exits fails the deploy at once, restarted or not") {
  for (const MachineState state :
       {MachineState::stopped, MachineState::restarting, MachineState::started}) {
    view.ours.clear();
    ReleaseMachine& each = add(state, true);
    each.status->last_exit = model::ExitEvent{3, 0, false, false, "exit code 3", {}};
    const ReleaseStep step = this->step();
    CHECK(step.kind == Kind::fail);
    CHECK(step.reason == "machine m1: the app ended: exit code 3");
    CHECK(step.culprit == MachineId("m1"));
    each.status->last_exit->oom_killed = true;
    CHECK(this->step().reason.find("memory") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(Situation, "an old instance's exit is not this one's") {
  ReleaseMachine& each = add(MachineState::stopped);
  each.status->last_exit = model::ExitEvent{};
  each.status->instance_id = "I0";
  CHECK(step().kind == Kind::wait);
}

TEST_CASE_FIXTURE(Situation, "a machine that fails, or takes too long, fails the deploy with why") {
  ReleaseMachine& each = add(MachineState::failed);
  each.status->error = "layer sha256:…: not found";
  CHECK(step().reason == "machine m1: layer sha256:…: not found");
  each.status->state = MachineState::starting;
  each.status->error = "pulling";
  CHECK(step(59s).kind == Kind::wait);
  CHECK(step(60s).reason == "machine m1: not started after 60 s: pulling");
  each.status->state = MachineState::started;
  each.status->started_at = kStart + 5s;
  each.status->error.clear();
  CHECK(step(34s).kind == Kind::wait);
  CHECK(step(35s).reason ==
        "machine m1: nothing listens on port 8080 after 30 s; let the app listen on 0.0.0.0:8080, "
        "or set internal_port to the port that it uses");
}

TEST_CASE_FIXTURE(Situation,
                  "an app that listens elsewhere fails the deploy sooner, saying where") {
  ReleaseMachine& each = add(MachineState::started);
  each.status->error = "nothing is listening on port 8080; the app listens on 0.0.0.0:3000";
  each.status->listens_on = "0.0.0.0:3000";
  CHECK(step(14s) == ReleaseStep{.kind = Kind::wait, .wake_at = kStart + 15s});
  CHECK(step(15s).reason ==
        "machine m1: nothing is listening on port 8080; the app listens on 0.0.0.0:3000");
  each.status->listens_on.clear();
  CHECK(step(15s).kind == Kind::wait);
}

TEST_CASE_FIXTURE(Situation, "a machine with checks is ready when all of them pass") {
  ReleaseMachine& each = add(MachineState::started, true);
  each.machine.config.services[0].checks.push_back({.grace_period = 20s});
  each.machine.config.checks.emplace_back("extra", model::Check{.grace_period = 5s});
  CHECK(step() == ReleaseStep{.kind = Kind::wait, .wake_at = kStart + 5s + 20s + 30s});
  each.status->checks = {{"servicecheck-00-tcp-8080", model::CheckHealth::passing, "", {}},
                         {"extra", model::CheckHealth::critical, "HTTP 500", {}}};
  CHECK(step(54s).kind == Kind::wait);
  CHECK(step(55s).reason == "machine m1: check extra: HTTP 500");
  CHECK(progress_of(view).size() == 2);
  each.status->checks[1].status = model::CheckHealth::passing;
  CHECK(step(55s).kind == Kind::activate);
  CHECK(progress_of(view)[1] == "machine m1 passes its checks");
}

TEST_CASE_FIXTURE(Situation, "after the switch the old machines are drained, then go") {
  view.app.current_release = 2;
  view.others = 1;
  CHECK(step().kind == Kind::drain);
  view.drained = true;
  CHECK(step().kind == Kind::retire);
  view.others = 0;
  CHECK(step().kind == Kind::succeed);
}

TEST_CASE_FIXTURE(Situation, "a newer deploy takes over before the switch, not after it") {
  view.app.last_release = 3;
  CHECK(step().reason == "a newer deploy (v3) took over");
  view.app.current_release = 2;
  CHECK(step().kind == Kind::succeed);
}

TEST_CASE_FIXTURE(Situation, "progress is told in sentences") {
  add(MachineState::started, true);
  add(MachineState::starting);
  CHECK(progress_of(view) ==
        std::vector<std::string>{"machine m1 runs", "machine m1 listens on port 8080"});
}

TEST_CASE_FIXTURE(Situation, "machines that hold a volume are taken over, one after the other") {
  view.release.count = 3;
  view.others = 2;
  view.holders = {MachineId("h1"), MachineId("h2")};
  CHECK(step() == ReleaseStep{.kind = Kind::take_over, .machine = MachineId("h1")});
  view.others = 1;
  view.holders = {MachineId("h2")};
  add(MachineState::starting);
  CHECK(step().kind == Kind::wait);
  view.ours.clear();
  add(MachineState::started, true);
  CHECK(step() == ReleaseStep{.kind = Kind::take_over, .machine = MachineId("h2")});
  view.others = 0;
  view.holders.clear();
  add(MachineState::started, true);
  CHECK(step() == ReleaseStep{.kind = Kind::create, .missing = 1});
  add(MachineState::started, true);
  CHECK(step().kind == Kind::activate);
}

TEST_CASE_FIXTURE(Situation,
                  "a machine that fails after it was taken over stops the deploy there") {
  view.release.count = 2;
  view.others = 1;
  view.holders = {MachineId("h2")};
  add(MachineState::failed);
  CHECK(step().kind == Kind::fail);
}

TEST_CASE_FIXTURE(Situation, "holders beyond the number of machines are retired after the switch") {
  view.release.count = 1;
  view.others = 1;
  view.holders = {MachineId("h2")};
  add(MachineState::started, true);
  CHECK(step().kind == Kind::activate);
  view.app.current_release = 2;
  view.drained = true;
  CHECK(step().kind == Kind::retire);
}

TEST_CASE_FIXTURE(Situation, "the time of a machine that was taken over counts from then") {
  add(MachineState::restarting).machine.updated_at = kStart + 100s;
  CHECK(step(61s).kind == Kind::wait);
  CHECK(step(161s).kind == Kind::fail);
}

}  // namespace
}  // namespace perigee::control
