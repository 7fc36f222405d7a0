// Every call in every state: what it does, or how it is refused.
#include "control/machine_action.h"

#include <doctest/doctest.h>

#include <array>

#include "model/json.h"

namespace perigee::control {
namespace {

using model::DesiredState;
using model::MachineState;

constexpr int kStates = static_cast<int>(MachineState::failed) + 1;

// One letter for each state, in the order of MachineState (created, starting, started, stopping,
// stopped, suspending, suspended, restarting, destroying, destroyed, failed):
// o order, n nothing, x refused.
struct Row {
  MachineAction action;
  std::string_view effects;
  DesiredState desired;  // after an order, of a machine that was to be stopped
};
constexpr std::array<Row, 9> kRows{{
    {MachineAction::start, "oonoooooxxo", DesiredState::started},
    {MachineAction::stop, "ooooooooxxo", DesiredState::stopped},
    {MachineAction::suspend, "xxoxxnnxxxx", DesiredState::suspended},
    {MachineAction::restart, "ooooooooxxo", DesiredState::started},
    {MachineAction::update, "ooooooooxxo", DesiredState::started},
    {MachineAction::destroy, "oxxooxoxnno", DesiredState::destroyed},
    {MachineAction::force_destroy, "oooooooonno", DesiredState::destroyed},
    {MachineAction::edit, "ooooooooxxo", DesiredState::stopped},
    {MachineAction::enter, "xxoxxxxxxxx", DesiredState::stopped},
}};

TEST_CASE("each action in each state is an order, nothing, or a conflict that names both") {
  const MachineId id("m1");
  for (const Row& row : kRows) {
    CAPTURE(name(row.action));
    CHECK(desired_after(row.action, DesiredState::stopped) == row.desired);
    for (int i = 0; i < kStates; ++i) {
      const auto state = static_cast<MachineState>(i);
      CAPTURE(model::name(state));
      const char expected = row.effects.at(static_cast<std::size_t>(i));
      const Result<ActionEffect> judged = judge_action(row.action, id, state);
      REQUIRE(judged.has_value() == (expected != 'x'));
      if (judged) {
        CHECK((*judged == ActionEffect::order) == (expected == 'o'));
        continue;
      }
      CHECK(judged.error().code == Code::conflict);
      CHECK(judged.error().context.starts_with("machine m1 is "));
    }
  }
}

TEST_CASE("a refusal says what to do") {
  const MachineId id("m1");
  CHECK(judge_action(MachineAction::destroy, id, MachineState::started).error().context ==
        "machine m1 is started; stop it first, or destroy it with force=true");
  CHECK(judge_action(MachineAction::suspend, id, MachineState::stopped).error().context ==
        "machine m1 is stopped: only one that is started can be suspended");
  CHECK(judge_action(MachineAction::enter, id, MachineState::stopped).error().context ==
        "machine m1 is stopped: only one that is started can be entered");
  CHECK(judge_action(MachineAction::start, id, MachineState::destroying).error().context ==
        "machine m1 is being destroyed");
}

TEST_CASE("what is as it should be is an order where another order is under way") {
  using model::DesiredState;
  const auto effect = [](MachineAction action, DesiredState desired) {
    return against_order(ActionEffect::nothing, action, desired);
  };
  CHECK(effect(MachineAction::start, DesiredState::suspended) == ActionEffect::order);
  CHECK(effect(MachineAction::start, DesiredState::stopped) == ActionEffect::order);
  CHECK(effect(MachineAction::start, DesiredState::started) == ActionEffect::nothing);
  CHECK(effect(MachineAction::suspend, DesiredState::started) == ActionEffect::order);
  CHECK(effect(MachineAction::destroy, DesiredState::destroyed) == ActionEffect::nothing);
  CHECK(against_order(ActionEffect::refuse, MachineAction::start, DesiredState::stopped) ==
        ActionEffect::refuse);
}

}  // namespace
}  // namespace perigee::control
