#include "worker/metrics_server.h"

#include "async/combine.h"
#include "async/task_group.h"
#include "worker/limits.h"
#include "worker/metrics_source.h"
#include "worker/worker.h"

namespace perigee::worker {
namespace {

std::vector<DaemonSample> usage_of(const std::vector<std::pair<std::string, pid_t>>& daemons) {
  std::vector<DaemonSample> out;
  for (const auto& [role, pid] : daemons) {
    if (const auto usage = sys::process_usage(pid)) out.push_back({role, *usage});
  }
  return out;
}

}  // namespace

MetricsServer::MetricsServer(sys::Host& host, const Worker& worker, vm::Driver& driver,
                             Daemons daemons, CertificateSource* certificates)
    : host_(host),
      worker_(worker),
      driver_(driver),
      daemons_(std::move(daemons)),
      certificates_(certificates),
      one_(host.loop, 1),
      server_(host, *this, {.max_connections = kMaxScrapers}) {}

async::Task<void> MetricsServer::serve(std::vector<std::unique_ptr<sys::Listener>> listeners) {
  async::TaskGroup serving(host_.loop);
  for (auto& listener : listeners) serving.spawn(server_.serve(std::move(listener)));
  co_await serving.drained();
}

async::Task<void> MetricsServer::handle(http::Request& request, http::ResponseWriter& response) {
  http::ResponseHead head;
  head.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  std::string body;
  if (request.head.path() != "/metrics") {
    head.status = 404;
    body = "there is only GET /metrics\n";
  } else if (request.head.method != "GET") {
    head.status = 405;
    head.headers.set("Allow", "GET");
    body = "GET only\n";
  } else {
    body = co_await text();
  }
  (void)co_await response.send(std::move(head), std::move(body));
}

async::Task<std::string> MetricsServer::text() {
  const async::Semaphore::Permit permit = co_await one_.acquire();
  const bool fresh = taken_at_ && host_.loop.now() - *taken_at_ < kSampleLife;
  if (fresh) co_return taken_;
  taken_ = metrics_text(co_await sample());
  taken_at_ = host_.loop.now();
  co_return taken_;
}

async::Task<NodeSample> MetricsServer::sample() {
  std::vector<async::Task<MachineSample>> tasks;
  for (SampleSeed& seed : worker_.sample_seeds()) {
    tasks.push_back(take_sample(host_, driver_, std::move(seed)));
  }
  NodeSample sample;
  sample.machines = co_await async::all_of(host_.loop, std::move(tasks), kMaxConcurrentSamples);
  sample.daemons =
      co_await host_.pool.run(host_.loop, [daemons = daemons_()] { return usage_of(daemons); });
  if (certificates_ != nullptr) sample.certificates = co_await certificates_->sample();
  co_return sample;
}

}  // namespace perigee::worker
