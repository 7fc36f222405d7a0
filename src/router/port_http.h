// HTTP at ports that are one app's alone: connections that TcpProxy hands over. The requests are
// the Proxy's; what differs is whose they are, and whose certificate a client is shown.
//
//   PortHttp ports(host, state, proxy, tls, http2);
//   tasks.spawn(ports.serve_plain());  tasks.spawn(ports.serve_tls());
//   TcpProxy tcp(…, ports.doors(), …);
//
// Owned by Router, on its loop.
#pragma once

#include <memory>

#include "crypto/tls.h"
#include "http/server.h"
#include "router/limits.h"
#include "router/proxy.h"
#include "router/state.h"
#include "router/stream_queue.h"
#include "router/tcp_proxy.h"

namespace perigee::router {

// Of connections that come from users.
http::ServerLimits user_limits(std::size_t connections_per_client);

class PortHttp {
 public:
  PortHttp(sys::Host& host, State& state, Proxy& proxy, crypto::TlsServer& tls,
           http::Protocol& http2, http::ServerLimits limits);

  HttpDoors doors() const { return doors_; }
  async::Task<void> serve_plain();
  async::Task<void> serve_tls();
  async::Task<void> drain(Deadline deadline, Duration patience) {
    return server_.drain(deadline, patience);
  }
  std::size_t connections() const { return server_.connections(); }

 private:
  struct Handler : http::Handler {
    explicit Handler(Proxy& p) : proxy(p) {}
    async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override {
      return proxy.handle_at_port(request, response);
    }
    Proxy& proxy;
  };
  // With the certificate of the app that has the port, whatever the client asks for.
  struct Tls : crypto::TlsAcceptor {
    Tls(const State& s, crypto::TlsServer& t) : state(s), tls(t) {}
    async::Task<Result<std::unique_ptr<sys::Stream>>> accept(
        std::unique_ptr<sys::Stream> stream) override;
    const State& state;
    crypto::TlsServer& tls;
  };

  HttpDoors doors_;
  Handler handler_;
  Tls tls_;
  http::Server server_;
};

}  // namespace perigee::router
