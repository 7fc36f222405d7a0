// MetricsServer: `GET /metrics` of a node, for Prometheus. A scrape takes the samples; scrapes that
// come close together share them, so that nobody can make the node sample without end.
//
//   MetricsServer metrics(host, worker, driver, daemons);
//   co_await metrics.serve(std::move(listeners));  // until cancelled
//
// Composed by bin/. The port has no authentication: keep it on loopback, or behind a firewall.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "async/event.h"
#include "http/server.h"
#include "sys/host.h"
#include "vm/driver.h"
#include "worker/certificate_source.h"
#include "worker/metrics.h"

namespace perigee::worker {

class Worker;

class MetricsServer : private http::Handler {
 public:
  // The node's daemons that run now, by role.
  using Daemons = std::function<std::vector<std::pair<std::string, pid_t>>()>;
  // `certificates`: null where no control runs on the node.
  MetricsServer(sys::Host& host, const Worker& worker, vm::Driver& driver, Daemons daemons,
                CertificateSource* certificates = nullptr);

  async::Task<void> serve(std::vector<std::unique_ptr<sys::Listener>> listeners);
  async::Task<std::string> text();

 private:
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override;
  async::Task<NodeSample> sample();

  sys::Host& host_;
  const Worker& worker_;
  vm::Driver& driver_;
  Daemons daemons_;
  CertificateSource* certificates_;
  async::Semaphore one_;  // scrape samples at a time
  std::optional<MonotonicTime> taken_at_;
  std::string taken_;
  http::Server server_;
};

}  // namespace perigee::worker
