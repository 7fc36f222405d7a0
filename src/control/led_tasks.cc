#include "control/led_tasks.h"

#include <array>
#include <utility>

#include "control/app_numbers.h"
#include "control/autostopper.h"
#include "control/certificate_renewer.h"
#include "control/housekeeping.h"
#include "control/release_reconciler.h"
#include "control/resealer.h"
#include "control/scale_reconciler.h"
#include "control/scheduler.h"

namespace perigee::control {
namespace {

async::Task<void> carry_out_releases(const Context& context, Fleet&) {
  ReleaseReconciler reconciler(context);
  co_await reconciler.run();
}

async::Task<void> put_to_rest(const Context& context, Fleet&) {
  Autostopper autostopper(context);
  co_await autostopper.run();
}

async::Task<void> keep_house(const Context& context, Fleet&) {
  Housekeeping housekeeping(context);
  async::TaskGroup duties(context.host.loop);
  duties.spawn(housekeeping.tend_machines());
  duties.spawn(housekeeping.renew_certificates());
  duties.spawn(housekeeping.expire_snapshots());
  duties.spawn(number_apps(context));
  co_await duties.drained();
}

async::Task<void> start_on_time(const Context& context, Fleet&) {
  Scheduler scheduler(context);
  co_await scheduler.run();
}

async::Task<void> keep_scale(const Context& context, Fleet&) {
  ScaleReconciler reconciler(context);
  co_await reconciler.run();
}

async::Task<void> keep_certificates(const Context& context, Fleet&) {
  CertificateRenewer renewer(context);
  co_await renewer.run();
}

async::Task<void> reseal(const Context& context, Fleet& fleet) {
  Resealer resealer(context, fleet);
  co_await resealer.run();
}

}  // namespace

LedTasks::LedTasks(const Context& context, store::Store& store, Fleet& fleet,
                   LeadershipConfig config)
    : context_(context), fleet_(fleet), leadership_(context.host.loop, store, std::move(config)) {}

async::Task<void> LedTasks::run() {
  constexpr std::array<std::pair<const char*, Work>, 7> kTasks{{
      {"releases", carry_out_releases},
      {"autostop", put_to_rest},
      {"housekeeping", keep_house},
      {"schedules", start_on_time},
      {"scale", keep_scale},
      {"certificates", keep_certificates},
      {"keys", reseal},
  }};
  async::TaskGroup tasks(context_.host.loop);
  for (const auto& [name, work] : kTasks) tasks.spawn(lead(name, work));
  tasks.spawn(leadership_.run());
  co_await tasks.drained();
}

async::Task<void> LedTasks::lead(std::string name, Work work) {
  const Context fenced = context_.fenced_by(leadership_.add(name));
  co_await leadership_.lead(name, [&fenced, work, this] { return work(fenced, fleet_); });
}

}  // namespace perigee::control
