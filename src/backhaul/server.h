// Server: takes the connections of the fleet's other routers and gives their requests to a Handler,
// their tunnels to a TunnelHandler. Which of both a connection is, its first byte says.
//
//   Server server(host, handler, tunnels, [&](const sys::Address& peer) { return is_node(peer); });
//   co_await server.serve(std::move(listener));
//
// Only peers that `allow` says yes to are served; others are closed at once. In a fleet those are
// the nodes' mesh addresses, which WireGuard lets nobody else send from (its allowed-ips).
#pragma once

#include <functional>
#include <memory>

#include "async/task_group.h"
#include "backhaul/limits.h"
#include "backhaul/tunnel.h"
#include "http2/server.h"
#include "sys/host.h"

namespace perigee::backhaul {

class TunnelHandler {
 public:
  virtual ~TunnelHandler() = default;
  // Answers by a byte, and then carries what comes until the end.
  virtual async::Task<void> serve_tunnel(Tunnel tunnel, sys::Stream& stream) = 0;
};

class Server {
 public:
  using Allow = std::function<bool(const sys::Address& peer)>;
  Server(sys::Host& host, http::Handler& handler, TunnelHandler& tunnels, Allow allow);
  ~Server();

  // Accepts until `drain`.
  async::Task<void> serve(std::unique_ptr<sys::Listener> listener);
  // Lets what runs end, up to `deadline`.
  async::Task<void> drain(Deadline deadline);
  std::size_t connections() const { return tasks_.size(); }

 private:
  async::Task<void> serve_connection(std::unique_ptr<sys::Stream> stream);
  async::Task<void> serve_http(std::unique_ptr<sys::Stream> stream, std::string ahead);
  async::Task<Result<void>> serve_tunnel(sys::Stream& stream, std::string ahead);

  sys::Host& host_;
  http::ServerContext context_;
  TunnelHandler& tunnels_;
  Allow allow_;
  async::TaskGroup tasks_;  // last: uses the others
};

}  // namespace perigee::backhaul
