// CertificateSource: asks the control of this node about the certificates of apps' hosts, for
// Prometheus (metrics_server.h). Control has no metrics of its own; on nodes without one nobody
// asks.
#pragma once

#include <vector>

#include "http/client.h"
#include "sys/host.h"
#include "worker/metrics.h"

namespace perigee::worker {

class CertificateSource {
 public:
  CertificateSource(sys::Host& host, sys::Address control)
      : host_(host), control_(std::move(control)), client_(host, {}) {}
  // None where control does not answer.
  async::Task<std::vector<CertificateSample>> sample();

 private:
  async::Task<Result<std::vector<CertificateSample>>> ask();

  sys::Host& host_;
  sys::Address control_;
  http::Client client_;
};

}  // namespace perigee::worker
