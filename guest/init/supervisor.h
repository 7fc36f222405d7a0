// PID 1's main loop: waits for Configure, starts the app, carries its output and signals, reaps
// every orphan, reports how the app ended and returns; main() then powers the machine off.
//
// Everything happens on one thread in one poll(): signals by signalfd, the control channel, the
// app's two pipes (or its terminal), the sessions beside it (exec.h). The phases go one way:
// waiting, running, draining, reporting, done.
#pragma once

#include <poll.h>

#include <cstdint>
#include <span>

#include "channel/types.h"
#include "init/exec.h"
#include "init/link.h"
#include "init/oom.h"
#include "init/root.h"
#include "init/session.h"
#include "init/spawn.h"
#include "init/volumes.h"

namespace perigee::init {

class Supervisor {
 public:
  explicit Supervisor(Link link);

  // Returns when the machine has nothing more to do and its disks are clean.
  void run();

 private:
  enum class Phase : std::uint8_t { kWaiting, kRunning, kDraining, kReporting, kDone };
  struct Exit {
    int code = 0;
    int signal = 0;
  };

  void turn();
  int timeout_ms() const;
  std::int64_t phase_deadline_ms() const;
  void enter(Phase phase);

  void read_signals();
  void reap();
  void app_ended(int status);
  void finish_drain();

  void check_link(short events);
  void read_link();
  void write_link();
  void end_sessions_of_earlier_host();
  void handle(channel::HostMessage& message);  // wipes keys
  void configure(const channel::Configure& message);
  Status start(const channel::Configure& message);
  void shutdown();
  void forward(std::uint32_t signo);

  void read_output(Fd& pipe, channel::Stream stream);
  bool drained() const { return !app_.out && !app_.err; }

  Link link_;
  Session session_;
  Execs execs_;
  std::uint64_t attachment_ = 0;  // that the sessions of execs_ belong to
  Root root_;
  Volumes volumes_;
  OomWatch oom_;
  Fd signals_;
  Child app_;
  Exit exit_;
  Phase phase_ = Phase::kWaiting;
  std::int64_t phase_since_ms_ = 0;
  bool linked_ = false;  // a host is connected to the port
};

}  // namespace perigee::init
