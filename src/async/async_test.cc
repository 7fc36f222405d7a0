// The async core on virtual time: tasks, timers, groups, deadlines, cancellation, the pool.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <thread>

#include "async/combine.h"
#include "async/event.h"
#include "async/loop.h"
#include "async/task_group.h"
#include "async/thread_pool.h"

namespace perigee::async {
namespace {

// Time that jumps to the next timer; waits really only for wake-ups from threads.
class ManualPort : public EventPort {
 public:
  MonotonicTime now() override { return now_; }
  void wait(std::optional<MonotonicTime> until) override {
    if (until)
      now_ = std::max(now_, *until);
    else
      std::this_thread::yield();
  }
  void wake() override {}

 private:
  MonotonicTime now_;
};

struct Fixture {
  ManualPort port;
  Loop loop{port};
};

Task<int> answer() {
  co_return 42;
}
Task<int> add(Task<int> a, Task<int> b) {
  co_return co_await std::move(a) + co_await std::move(b);
}
Task<int> after(Loop& loop, Duration d, int value) {
  co_await loop.sleep(d);
  co_return value;
}
Task<Result<int>> result_after(Loop& loop, Duration d, int value) {
  co_await loop.sleep(d);
  co_return value;
}
Task<void> append(Loop& loop, Duration d, std::string& log, char c) {
  co_await loop.sleep(d);
  log.push_back(c);
}
Task<void> append_at_once(std::string& log, char c) {
  log.push_back(c);
  co_return;
}
Task<int> many_awaits(int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += co_await answer() > 0 ? 1 : 0;
  co_return sum;
}

TEST_CASE_FIXTURE(Fixture, "a task returns its value and awaits others") {
  CHECK(loop.run(answer()) == 42);
  CHECK(loop.run(add(answer(), answer())) == 84);
  CHECK(loop.run(many_awaits(200000)) == 200000);  // no growth of the stack
}

TEST_CASE_FIXTURE(Fixture, "timers fire in order of time, then of arming") {
  std::string log;
  TaskGroup group(loop);
  group.spawn(append(loop, 30ms, log, 'c'));
  group.spawn(append(loop, 10ms, log, 'a'));
  group.spawn(append(loop, 20ms, log, 'b'));
  group.spawn(append(loop, 30ms, log, 'd'));
  loop.run(group.drained());
  CHECK(log == "abcd");
  CHECK(loop.now().ns == 30'000'000);
}

TEST_CASE_FIXTURE(Fixture, "destroying a task cancels what it waits for") {
  std::string log;
  {
    TaskGroup group(loop);
    group.spawn(append(loop, 10ms, log, 'x'));
  }
  loop.run(after(loop, 50ms, 0));
  CHECK(log.empty());
}

TEST_CASE_FIXTURE(Fixture, "a deadline cancels and names the call") {
  auto late =
      loop.run(with_deadline(loop, loop.deadline_in(5ms), result_after(loop, 10ms, 1), "dial"));
  REQUIRE_FALSE(late.has_value());
  CHECK(late.error().code == Code::deadline_exceeded);
  CHECK(late.error().context == "dial: no answer in time");
  auto early =
      loop.run(with_deadline(loop, loop.deadline_in(50ms), result_after(loop, 10ms, 7), "dial"));
  CHECK(early.value() == 7);
}

TEST_CASE_FIXTURE(Fixture, "the first of two wins and the other is cancelled") {
  std::string log;
  CHECK(loop.run(first_of(loop, append(loop, 20ms, log, 'a'), append(loop, 10ms, log, 'b'))) ==
        Winner::second);
  loop.run(after(loop, 50ms, 0));
  CHECK(log == "b");
}

TEST_CASE_FIXTURE(Fixture, "where the first is over at once the second never begins") {
  std::string log;
  CHECK(loop.run(first_of(loop, append_at_once(log, 'a'), append_at_once(log, 'b'))) ==
        Winner::first);
  CHECK(log == "a");
  CHECK(loop.run(first_of(loop, append(loop, 10ms, log, 'c'), append_at_once(log, 'd'))) ==
        Winner::second);
  CHECK(log == "ad");
}

TEST_CASE_FIXTURE(Fixture, "all_of keeps the order and bounds concurrency") {
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 6; ++i) tasks.push_back(after(loop, (6 - i) * 10ms, i));
  CHECK(loop.run(all_of(loop, std::move(tasks), 2)) == std::vector<int>{0, 1, 2, 3, 4, 5});
}

TEST_CASE_FIXTURE(Fixture, "a full group refuses") {
  std::string log;
  TaskGroup group(loop, 1);
  CHECK(group.spawn(append(loop, 1ms, log, 'a')));
  CHECK_FALSE(group.spawn(append(loop, 1ms, log, 'b')));
  loop.run(group.drained());
  CHECK(group.spawn(append(loop, 1ms, log, 'c')));
  loop.run(group.drained());
  CHECK(log == "ac");
}

TEST_CASE_FIXTURE(Fixture, "a mailbox hands items over in order and ends when closed") {
  Mailbox<int> box(loop, 2);
  CHECK(box.push(1));
  CHECK(box.push(2));
  CHECK_FALSE(box.push(3));
  CHECK(loop.run(box.pop()) == 1);
  box.close();
  CHECK(loop.run(box.pop()) == 2);
  CHECK_FALSE(loop.run(box.pop()).has_value());
}

TEST_CASE_FIXTURE(Fixture, "the pool runs on another thread and its answer arrives on the loop") {
  ThreadPool pool(2);
  const auto here = std::this_thread::get_id();
  auto there = loop.run(pool.run(loop, [] { return std::this_thread::get_id(); }));
  CHECK(there != here);
}

TEST_CASE_FIXTURE(Fixture, "a cancelled wait for the pool drops the answer") {
  ThreadPool pool(1);
  auto done = std::make_shared<bool>(false);
  {
    Task<int> task = pool.run(loop, [done] {
      std::this_thread::sleep_for(5ms);
      *done = true;
      return 1;
    });
    task.start();
  }
  CHECK(loop.run(pool.run(loop, [] { return 2; })) == 2);
  CHECK(*done);
}

}  // namespace
}  // namespace perigee::async
