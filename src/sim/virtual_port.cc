#include "sim/virtual_port.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"

namespace perigee::sim {

void VirtualPort::schedule(MonotonicTime at, std::move_only_function<void()> event) {
  events_.emplace(std::pair(std::max(at, now_), next_order_++), std::move(event));
}

void VirtualPort::wait(std::optional<MonotonicTime> until) {
  if (std::exchange(woken_, false)) until = now_;
  if (!until && events_.empty()) {
    log_error("sim", "everything waits and nothing is left that could happen; last events:\n{}",
              trace_.text());
    PERIGEE_CHECK(until || !events_.empty());
  }
  MonotonicTime next = until.value_or(MonotonicTime{INT64_MAX});
  if (!events_.empty()) next = std::min(next, events_.begin()->first.first);
  if (next > now_) {
    now_ = next;
    trace_.note(now_, "time", {});
  }
  while (!events_.empty() && events_.begin()->first.first <= now_) {
    auto event = events_.extract(events_.begin());
    event.mapped()();
  }
}

}  // namespace perigee::sim
