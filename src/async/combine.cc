#include "async/combine.h"

#include <optional>

namespace perigee::async {
namespace {

Task<void> note(Task<void> task, Winner who, std::optional<Winner>& winner, Event& ended) {
  co_await std::move(task);
  if (!winner) winner = who;
  ended.set();
}

}  // namespace

Task<Winner> first_of(Loop& loop, Task<void> first, Task<void> second) {
  std::optional<Winner> winner;
  Event ended(loop);
  TaskGroup group(loop, 2);
  group.spawn(note(std::move(first), Winner::first, winner, ended));
  if (!winner) group.spawn(note(std::move(second), Winner::second, winner, ended));
  co_await ended.wait();
  co_return *winner;
}

}  // namespace perigee::async
