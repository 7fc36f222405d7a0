#include "control/certificate_renewer.h"

#include <algorithm>

#include "async/combine.h"
#include "base/log.h"
#include "control/certificate_order.h"
#include "control/limits.h"

namespace perigee::control {
namespace {

async::Task<bool> one_change(async::Notify& changed) {
  co_await changed.wait();
  co_return true;
}

}  // namespace

async::Task<void> CertificateRenewer::run() {
  async::Loop& loop = context_.host.loop;
  for (;;) {
    const Duration next = look();
    co_await async::until(loop, loop.now() + next, one_change(context_.changed));
    co_await loop.sleep(kCertificatePause);
  }
}

// Places what is due, and tells when something will be.
Duration CertificateRenewer::look() {
  const WallTime now = context_.host.clock.wall();
  Duration next = kCertificateLook;
  for (const auto& [host, stored] : context_.desired.hosts()) {
    warn(stored.value, now);
    if (context_.authority == nullptr || under_way_.contains(host)) continue;
    const auto order = next_order(stored.value, context_.acme);
    if (!order) continue;
    if (order->at > now) {
      next = std::min(next, order->at - now);
    } else if (under_way_.size() < kMaxOrders) {
      under_way_.insert(host);
      if (!orders_.spawn(place(*this, host, *order))) under_way_.erase(host);
    }
  }
  return next;
}

// The alarm, once a day.
void CertificateRenewer::warn(const HostRecord& record, WallTime now) {
  const HostState state = state_of(record, now);
  if (state != HostState::expiring && state != HostState::expired) {
    warned_.erase(record.host);
    return;
  }
  const MonotonicTime at = context_.host.loop.now();
  const auto [known, first] = warned_.try_emplace(record.host, at);
  if (!first && at - known->second < kAlarmAgain) return;
  known->second = at;
  log_warning("control", "certificate of {} (app {}): {}, its end is {}{}{}", record.host,
              record.app, name(state), to_rfc3339(*end_of(record)),
              record.last_error.empty() ? "" : "; ", record.last_error);
}

async::Task<void> CertificateRenewer::place(CertificateRenewer& self, std::string host,
                                            NextOrder next) {
  CertificateOrder order(self.context_, host, next);
  const Result<void> done = co_await order.run();
  self.under_way_.erase(host);
  self.context_.changed.notify_all();
  if (done) {
    log_info("control", "{}: the authority has issued a certificate ({})", host,
             crypto::name(next.key_type));
  } else if (done.error().code != Code::cancelled && done.error().code != Code::conflict) {
    log_warning("control", "certificate of {}: {}", host, done.error().context);
  }
}

}  // namespace perigee::control
