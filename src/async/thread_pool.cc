#include "async/thread_pool.h"

#include <signal.h>

#include <utility>

namespace perigee::async {
namespace {

// Blocks all signals in this thread while it lives; threads started meanwhile inherit that for
// good. A signal to the process must reach the thread that blocks and awaits it (sys/posix_host.h),
// never a pool thread, where its default action would end the process.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

ThreadPool::ThreadPool(std::size_t threads) {
  const SignalsBlocked blocked;
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back(&ThreadPool::work, this);
}

ThreadPool::~ThreadPool() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  available_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::submit(std::move_only_function<void()> work) {
  if (threads_.empty()) return work();  // a simulation's pool: inline, so that order is fixed
  {
    const std::scoped_lock lock(mutex_);
    queue_.push_back(std::move(work));
  }
  available_.notify_one();
}

void ThreadPool::work() {
  for (;;) {
    std::move_only_function<void()> next;
    {
      std::unique_lock lock(mutex_);
      available_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      next = std::move(queue_.front());
      queue_.pop_front();
    }
    next();
  }
}

}  // namespace perigee::async
