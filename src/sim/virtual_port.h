// VirtualPort: the EventPort of a simulation. Time stands still while anything is ready to run, and
// then jumps to the next timer or scheduled event; nothing ever really waits.
//
// `schedule` is how the simulated network and disks make things happen: the function runs between
// two turns of the loop, when no coroutine runs, so it may even destroy tasks (a crash does).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "async/loop.h"
#include "sim/trace.h"

namespace perigee::sim {

class VirtualPort : public async::EventPort {
 public:
  explicit VirtualPort(Trace& trace) : trace_(trace) {}

  MonotonicTime now() override { return now_; }
  void wait(std::optional<MonotonicTime> until) override;
  void wake() override { woken_ = true; }

  void schedule(MonotonicTime at, std::move_only_function<void()> event);
  void clear() { events_.clear(); }

 private:
  Trace& trace_;
  MonotonicTime now_;
  bool woken_ = false;
  std::uint64_t next_order_ = 0;
  std::map<std::pair<MonotonicTime, std::uint64_t>, std::move_only_function<void()>> events_;
};

}  // namespace perigee::sim
