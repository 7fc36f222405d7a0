// LedTasks: what control does without being asked, each by one of all controls (leadership.h).
//
//   releases      carries out deploys               housekeeping  forgets, expires, renews
//   autostop      puts machines to rest             schedules     starts machines on time
//   keys          seals anew and retires keys   scale         keeps regions and counts
//   certificates  gets them for apps' hosts
//
// A task is made when this control becomes its leader and destroyed when it is none any more; all
// that it writes is fenced. Owned by Control, on its loop.
#pragma once

#include "async/task_group.h"
#include "control/context.h"
#include "control/fleet.h"
#include "control/leadership.h"

namespace perigee::control {

class LedTasks {
 public:
  LedTasks(const Context& context, store::Store& store, Fleet& fleet, LeadershipConfig config);
  // For ever.
  async::Task<void> run();

 private:
  using Work = async::Task<void> (*)(const Context& context, Fleet& fleet);
  async::Task<void> lead(std::string name, Work work);

  const Context& context_;
  Fleet& fleet_;
  Leadership leadership_;
};

}  // namespace perigee::control
