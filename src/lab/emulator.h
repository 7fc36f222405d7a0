// Emulator: the process behind a lab's network. It makes a tap in each namespace of the plan,
// carries frames between them as a Wan says, and takes requests (wan_control.h) on a Unix socket.
// The taps are gone when it is: whoever starts it again sets the interfaces up again.
//
//   TRY(const auto emulator, Emulator::open(host, plan, seed));
//   loop.run(async::first_of(loop, emulator->run(), until_signal(host)));
//
// One thread, which should have real-time priority (sys/real_time.h): its lateness is measured by
// everyone on the network.
#pragma once

#include <memory>
#include <vector>

#include "async/event.h"
#include "async/task_group.h"
#include "lab/capture.h"
#include "lab/topology.h"
#include "lab/wan.h"
#include "lab/wan_control.h"
#include "sys/posix_host.h"

namespace perigee::lab {

// How exact the network was: frames are handed over when they are due or a little later, and what
// is measured over the network is off by that.
struct Lateness {
  std::uint64_t frames = 0;
  std::uint64_t over_1ms = 0;
  Duration worst{};

  void count(Duration late);
  json::Value value() const;
};

class Emulator {
 public:
  // The namespaces must be there. `conflict`: another emulator has their taps.
  static Result<std::unique_ptr<Emulator>> open(sys::PosixHost& host, Plan plan,
                                                std::uint64_t seed);
  // Until cancelled.
  async::Task<void> run();

 private:
  Emulator(sys::PosixHost& host, Plan plan, std::uint64_t seed);
  Result<void> open_tap(const Endpoint& endpoint);
  Result<void> set_offloads();
  MonotonicTime now() { return host_.loop().port().now(); }

  async::Task<void> take_in(PortNumber port);
  async::Task<void> deliver();
  async::Task<void> hand_over(const Arrival& arrival);
  async::Task<void> accept();
  async::Task<void> serve(std::unique_ptr<sys::Stream> client);
  std::string answer(std::string_view line);
  Result<json::Value> perform(const WanRequest& request);

  sys::PosixHost& host_;
  Plan plan_;
  Wan wan_;
  WanControl control_;
  Capture capture_;
  Lateness lateness_;
  std::vector<std::unique_ptr<sys::Stream>> taps_;  // by port
  std::unique_ptr<sys::Listener> listener_;
  async::WaiterQueue deliverer_;
  std::optional<MonotonicTime> wakes_at_;  // the deliverer; nothing: it waits for a frame
  async::TaskGroup clients_;
  async::TaskGroup ports_;
};

}  // namespace perigee::lab
