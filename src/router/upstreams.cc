#include "router/upstreams.h"

#include <algorithm>

namespace perigee::router {

// All ports of a service say the same (model::validate).
Backend backend_of(const model::Service& service) {
  const bool http2 = std::ranges::any_of(
      service.ports, [](const model::Port& port) { return port.http_options.h2_backend; });
  return http2 ? Backend::http2 : Backend::http1;
}

}  // namespace perigee::router
