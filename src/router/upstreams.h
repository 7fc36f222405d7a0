// Upstreams: requests to this node's machines, in the version of HTTP that their app speaks.
//
// The connections to them, kept and shared by user's requests and by what other nodes' routers hand
// over. Owned by the router, on the loop's thread.
#pragma once

#include "http/client.h"
#include "http2/app_client.h"
#include "model/types.h"

namespace perigee::router {

enum class Backend { http1, http2 };
Backend backend_of(const model::Service& service);

class Upstreams {
 public:
  Upstreams(sys::Host& host, http::ClientLimits limits)
      : http1_(host, limits), http2_(host, limits) {}

  // As http::Client::forward.
  async::Task<http2::Forwarded> forward(sys::Address to, Backend backend, http::RequestHead head,
                                        http::Body* body, Deadline deadline) {
    if (backend == Backend::http2) return http2_.forward(to, std::move(head), body, deadline);
    return http1_.forward(to, std::move(head), body, deadline);
  }
  // Nothing new may be sent there: the address may become another machine's.
  void forget(const sys::Address& to) {
    http1_.forget(to);
    http2_.forget(to);
  }

 private:
  http::Client http1_;
  http2::AppClient http2_;
};

}  // namespace perigee::router
