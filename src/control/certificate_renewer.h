// CertificateRenewer: places the orders that are due for certificates of apps' hosts
// (renewal_plan.h), a few at a time, and warns of certificates that near their end whoever brought
// them. A background task: one control does it (led_tasks.h).
#pragma once

#include <map>
#include <set>
#include <string>

#include "async/task_group.h"
#include "control/context.h"
#include "control/limits.h"

namespace perigee::control {

class CertificateRenewer {
 public:
  explicit CertificateRenewer(const Context& context)
      : context_(context), orders_(context.host.loop, kMaxOrders) {}
  async::Task<void> run();  // for ever

 private:
  Duration look();
  void warn(const HostRecord& record, WallTime now);
  static async::Task<void> place(CertificateRenewer& self, std::string host, NextOrder order);

  const Context& context_;
  std::set<std::string> under_way_;
  std::map<std::string, MonotonicTime> warned_;
  async::TaskGroup orders_;  // last: uses the others
};

}  // namespace perigee::control
