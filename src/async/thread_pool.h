// ThreadPool: where blocking work runs (files, fsync, SQLite, inflation), so that no loop ever
// waits.
//
//   Result<std::string> text = co_await pool.run(loop, [path] { return read_whole(path); });
//
// The function runs on a pool thread and owns what it captures. Cancelling the awaiting task does
// not stop a function that has begun: its result is dropped. A pool of 0 threads runs each function
// inline and answers in a later turn of the loop: what a simulation uses, as its order is fixed.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "async/event.h"
#include "async/loop.h"

namespace perigee::async {

class ThreadPool {
 public:
  explicit ThreadPool(std::size_t threads);
  ~ThreadPool();  // finishes what is queued
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  template <typename F, typename T = std::invoke_result_t<F&>>
  Task<T> run(Loop& loop, F function);

  void submit(std::move_only_function<void()> work);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable available_;
  std::deque<std::move_only_function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

template <typename F, typename T>
Task<T> ThreadPool::run(Loop& loop, F function) {
  // Shared with the pool thread, which may outlive a cancelled waiter. The event is touched on the
  // loop's thread only.
  struct Shared {
    explicit Shared(Loop& owner) : done(owner) {}
    std::optional<T> result;
    Event done;
  };
  auto state = std::make_shared<Shared>(loop);
  std::weak_ptr<Shared> watcher = state;
  struct Job {
    std::optional<T> result;
  };
  auto job = std::make_shared<Job>();
  submit([&loop, watcher, job, work = std::move(function)]() mutable {
    job->result.emplace(work());
    loop.post([watcher, job] {
      const std::shared_ptr<Shared> alive = watcher.lock();
      if (!alive) return;
      alive->result = std::move(job->result);
      alive->done.set();
    });
  });
  co_await state->done.wait();
  co_return *std::move(state->result);
}

}  // namespace perigee::async
