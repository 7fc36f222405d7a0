#include "async/loop.h"

#include <algorithm>
#include <utility>

namespace perigee::async {

void Waiter::schedule() {
  unlink();
  loop_.ready_.push(*this);
}

void Waiter::unlink() {
  if (next_ == nullptr) return;
  next_->previous_ = previous_;
  previous_->next_ = next_;
  next_ = previous_ = nullptr;
}

void WaiterQueue::push(Waiter& waiter) {
  waiter.unlink();
  waiter.next_ = &head_;
  waiter.previous_ = head_.previous_;
  head_.previous_->next_ = &waiter;
  head_.previous_ = &waiter;
}

void WaiterQueue::wake_one() {
  if (!empty()) front().schedule();
}

void WaiterQueue::wake_all() {
  while (!empty()) front().schedule();
}

void WaiterQueue::clear() {
  while (!empty()) front().unlink();
}

void Timer::arm(MonotonicTime at) {
  disarm();
  fired_ = false;
  Loop& loop = waiter_.loop();
  at_ = at;
  order_ = loop.next_order_++;
  loop.heap_.push_back(this);
  index_ = loop.heap_.size() - 1;
  loop.heap_up(index_);
}

void Timer::disarm() {
  if (index_ == kDisarmed) return;
  Loop& loop = waiter_.loop();
  const std::size_t hole = std::exchange(index_, kDisarmed);
  Timer* last = loop.heap_.back();
  loop.heap_.pop_back();
  if (last == this) return;
  loop.place(hole, last);
  loop.heap_up(hole);
  loop.heap_down(last->index_);
}

namespace {

// Between looks at the clock.
constexpr std::size_t kSteps = 16;

template <std::size_t... I>
std::array<WaiterQueue, sizeof...(I)> queues(Loop& loop, std::index_sequence<I...>) {
  return {((void)I, WaiterQueue(loop))...};
}

}  // namespace

Loop::Loop(EventPort& port)
    : port_(port),
      now_(port.now()),
      ready_(*this),
      levels_(queues(*this, std::make_index_sequence<Shares::kLevels>())) {}

Loop::~Loop() = default;

void Loop::post(std::move_only_function<void()> fn) {
  {
    const std::scoped_lock lock(posted_mutex_);
    posted_.push_back(std::move(fn));
  }
  port_.wake();
}

void Loop::turn(MayWait may_wait) {
  std::optional<MonotonicTime> until;
  if (!heap_.empty()) until = heap_.front()->at_;
  if (!ready_.empty() || levelled_ || may_wait == MayWait::no) until = now_;
  port_.wait(until);
  now_ = port_.now();
  fire_timers();
  run_posted();
  run_ready();
}

void Loop::run_posted() {
  std::vector<std::move_only_function<void()>> batch;
  {
    const std::scoped_lock lock(posted_mutex_);
    batch.swap(posted_);
  }
  for (auto& fn : batch) fn();
}

void Loop::resume(Waiter& waiter) {
  waiter.unlink();
  share_ = waiter.share_;
  waiter.handle_.resume();
  share_ = kOwnShare;
}

// Runs what was ready when the turn began; what becomes ready meanwhile waits for the next turn, so
// that I/O is never starved.
void Loop::run_ready() {
  if (now_ < fair_until_ || levelled_) {
    run_fairly();
  } else {
    run_in_order();
  }
}

void Loop::run_in_order() {
  Waiter mark(*this);
  ready_.push(mark);
  for (std::size_t steps = 1; &ready_.front() != &mark; ++steps) {
    resume(ready_.front());
    if (steps % kSteps == 0 && port_.now() - now_ >= kBusyTurn) {
      fair_until_ = now_ + kFairFor;
      return;
    }
  }
}

// What is the program's own stays in `ready_`.
void Loop::sort_by_share() {
  if (now_ - sorted_at_ >= Shares::kEpoch) {  // who waits has had less since
    for (WaiterQueue& level : levels_) level.wake_all();
    sorted_at_ = now_;
  }
  Waiter mark(*this);
  ready_.push(mark);
  while (&ready_.front() != &mark) {
    Waiter& waiter = ready_.front();
    const ShareId share = waiter.share_;
    (share == kOwnShare ? ready_ : levels_[shares_.level(share, now_)]).push(waiter);
  }
}

// The program's own work has half of a turn where it wants more, clients have the rest.
void Loop::run_fairly() {
  sort_by_share();
  MonotonicTime now = now_;
  const auto step = [this, &now](Waiter& waiter) {
    const ShareId share = waiter.share_;
    resume(waiter);
    const MonotonicTime after = port_.now();
    shares_.charge(share, after - now, after);
    now = after;
  };
  {
    Waiter mark(*this);
    ready_.push(mark);
    while (&ready_.front() != &mark && now - now_ < kFairTurn / 2) step(ready_.front());
  }
  const MonotonicTime end = std::max(now_ + kFairTurn, now + kFairTurn / 2);
  levelled_ = false;
  for (WaiterQueue& level : levels_) {
    while (!level.empty() && now < end) step(level.front());
    if (!level.empty()) levelled_ = true;
  }
  if (now >= end) fair_until_ = now + kFairFor;
}

void Loop::fire_timers() {
  while (!heap_.empty() && heap_.front()->at_ <= now_) {
    Timer& timer = *heap_.front();
    timer.disarm();
    timer.fired_ = true;
    timer.waiter_.schedule();
  }
}

bool Loop::before(const Timer& a, const Timer& b) {
  return a.at_ != b.at_ ? a.at_ < b.at_ : a.order_ < b.order_;
}

void Loop::place(std::size_t i, Timer* timer) {
  heap_[i] = timer;
  timer->index_ = i;
}

void Loop::heap_up(std::size_t i) {
  Timer* timer = heap_[i];
  while (i > 0 && before(*timer, *heap_[(i - 1) / 2])) {
    place(i, heap_[(i - 1) / 2]);
    i = (i - 1) / 2;
  }
  place(i, timer);
}

void Loop::heap_down(std::size_t i) {
  Timer* timer = heap_[i];
  for (;;) {
    std::size_t child = 2 * i + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(*heap_[child + 1], *heap_[child])) ++child;
    if (!before(*heap_[child], *timer)) break;
    place(i, heap_[child]);
    i = child;
  }
  place(i, timer);
}

}  // namespace perigee::async
