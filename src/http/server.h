// Server: HTTP/1.1 on any listener, connections as tasks, requests to one Handler; and another
// protocol, where it is given one, for the clients that choose that.
//
//   http::Server server(host, handler, limits);
//   co_await server.serve(std::move(listener));            // plain
//   co_await server.serve_tls(std::move(listener), tls);   // TLS, certificate by SNI
//
// Destroying it cancels all connections and ends `serve`; `drain` stops accepting, lets requests
// end, then returns. A connection that was accepted before is served.
#pragma once

#include <memory>

#include "async/task_group.h"
#include "crypto/tls.h"
#include "http/limits.h"
#include "http/message.h"
#include "http/protocol.h"
#include "sys/host.h"

namespace perigee::http {

class Server {
 public:
  // `other` outlives the server; null: HTTP/1.1 alone. TLS has to offer it (crypto/tls.h).
  Server(sys::Host& host, Handler& handler, ServerLimits limits, Protocol* other = nullptr);
  ~Server();

  async::Task<void> serve(std::unique_ptr<sys::Listener> listener);
  async::Task<void> serve_tls(std::unique_ptr<sys::Listener> listener, crypto::TlsAcceptor& tls);
  // Connections on which nothing is asked end after `patience`: a client that is about to ask is
  // answered, and told that it was the last time.
  async::Task<void> drain(Deadline deadline, Duration patience = {});
  std::size_t connections() const;

 private:
  struct Parts;
  std::shared_ptr<Parts> parts_;  // shared with `serve`, which may end after the server
};

}  // namespace perigee::http
