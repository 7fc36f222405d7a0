#include "bin/router_drain.h"

#include <signal.h>

#include "async/combine.h"
#include "base/log.h"
#include "supervisor/supervisor.h"

namespace perigee::bin {
namespace {

constexpr Duration kLastDrain = 10s;

async::Task<void> told_to_end(sys::PosixHost& host) {
  co_await host.wait_for_signal({SIGTERM, SIGINT});
}

}  // namespace

async::Task<void> drain_on_signal(sys::PosixHost& host, Drain drain, Duration time) {
  const int number = co_await host.wait_for_signal({SIGTERM, SIGINT, supervisor::kHandOver});
  if (number == supervisor::kHandOver) co_return co_await hand_over(host, std::move(drain), time);
  log_info("router", "draining on signal {}", number);
  co_await drain(host.loop().deadline_in(kLastDrain), router::Successor::none);
}

async::Task<void> hand_over(sys::PosixHost& host, Drain drain, Duration time) {
  log_info("router", "handed over; draining for up to {} s", to_ms(time) / 1000);
  const auto ended = co_await async::first_of(
      host.loop(), drain(host.loop().deadline_in(time), router::Successor::serves),
      told_to_end(host));
  if (ended == async::Winner::first) co_return;
  co_await drain(host.loop().deadline_in(0s), router::Successor::serves);
}

}  // namespace perigee::bin
