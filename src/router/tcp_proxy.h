// TcpProxy: users' connections to services of TCP, each carried to a machine of its app. A
// connection's phases, each a function:
//
//   find its owner → open (PROXY header in, TLS, pg_tls) → dial → introduce (proxy_proto) → carry
//
// What the port's handlers ask for decides each; docs/services.md tells what they do. A port that
// is nobody's is closed. Connections of ports with the http handler are handed to HTTP (HttpDoors).
// While no byte has been sent to a machine another one may take the connection (dialer.h); from
// then on it belongs to that machine, until both ends have ended or nothing was said for kTcpIdle.
// Owned by Router, on its loop.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "async/event.h"
#include "async/task_group.h"
#include "crypto/tls.h"
#include "http/client_slots.h"
#include "router/access_log.h"
#include "router/dialer.h"
#include "router/limits.h"
#include "router/state.h"
#include "router/stream_queue.h"
#include "routing/route_table.h"
#include "sys/host.h"

namespace perigee::router {

// Where connections go whose port has the http handler.
struct HttpDoors {
  std::shared_ptr<StreamQueue::Streams> plain;
  std::shared_ptr<StreamQueue::Streams> tls;  // that is still to begin
};

// What a port's TLS agrees on, for the app's certificates.
crypto::TlsTerms terms_of(const routing::PortOwner& owner);

class TcpProxy {
 public:
  struct Settings {
    std::string node;
    std::string region;
    Duration idle = kTcpIdle;
  };
  TcpProxy(sys::Host& host, State& state, Dialer& dialer, crypto::TlsServer& tls, AccessLog& log,
           HttpDoors doors, Settings settings);
  ~TcpProxy();

  // Connections to ports of apps, found by the address and port that they came to. Until drained.
  async::Task<void> serve(std::unique_ptr<sys::Listener> listener);
  // A connection whose owner was found otherwise. A drain waits until nobody holds a Source who
  // may come with one.
  void take(std::unique_ptr<sys::Stream> stream, routing::PortOwner owner);
  class Source;
  std::shared_ptr<Source> source();
  // Accepts no more, has nothing more to hand over, and lets connections end until then.
  async::Task<void> drain(Deadline deadline);
  std::size_t connections() const { return tasks_.size(); }

 private:
  struct Connection;
  void accept(std::unique_ptr<sys::Stream> stream);
  async::Task<void> drained();
  async::Task<void> run(std::unique_ptr<sys::Stream> stream, routing::PortOwner owner);
  void hand_over(std::unique_ptr<sys::Stream> stream, const routing::PortOwner& owner);
  async::Task<Result<void>> pass(Connection& c, std::unique_ptr<sys::Stream> stream);
  async::Task<Result<std::unique_ptr<sys::Stream>>> open(Connection& c,
                                                         std::unique_ptr<sys::Stream> stream);
  async::Task<Result<std::unique_ptr<sys::Stream>>> open_pg(Connection& c,
                                                            std::unique_ptr<sys::Stream> stream);
  async::Task<Result<void>> introduce(const Connection& c, sys::Stream& machine);
  async::Task<void> carry(Connection& c, sys::Stream& client, sys::Stream& machine);
  void finish(const Connection& c);

  sys::Host& host_;
  State& state_;
  Dialer& dialer_;
  crypto::TlsServer& tls_;
  AccessLog& log_;
  HttpDoors doors_;
  Settings settings_;
  http::ClientSlots clients_;
  async::Event draining_;
  std::size_t sources_ = 0;
  async::Notify source_gone_;
  async::TaskGroup tasks_;  // last: uses the others
};

}  // namespace perigee::router
