// AppClient: requests to apps that speak HTTP/2 with prior knowledge, over a few shared connections
// to each address. The same shape and promises as http::Client::forward, so that a router's code is
// one.
//
//   http2::AppClient apps(host, {.connect_timeout = 2s});
//   auto response = co_await apps.forward(address, head, &body, deadline);
//
// One connection is opened for the first request, another where all have as many streams as the app
// allows, up to kMaxConnectionsPerApp; beyond that requests wait for a stream. Those that wait for
// a connection share its failure. Owned by the router, on the loop's thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "async/task_group.h"
#include "http2/client.h"
#include "sys/host.h"

namespace perigee::http2 {

class AppClient {
 public:
  AppClient(sys::Host& host, http::ClientLimits limits);

  // `deadline` bounds connect and the response's head; it moves with the progress of `body` (null:
  // none), which the Response must not outlive.
  async::Task<Forwarded> forward(sys::Address to, http::RequestHead head, http::Body* body,
                                 Deadline deadline);
  // Its machine has left the routes: what runs there may end, nothing new goes there.
  void forget(const sys::Address& to);
  std::size_t connections() const;

 private:
  using ConnectionPtr = std::shared_ptr<Connection>;
  struct App {
    explicit App(async::Loop& loop) : changed(loop) {}
    std::vector<ConnectionPtr> links;
    bool dialing = false;
    std::uint64_t failures = 0;
    std::optional<Error> last_failure;
    async::Notify changed;  // a dial has ended
  };
  using AppPtr = std::shared_ptr<App>;

  AppPtr app_at(const sys::Address& to);
  async::Task<Result<ConnectionPtr>> connection(AppPtr app, sys::Address to, Deadline deadline);
  async::Task<Result<ConnectionPtr>> dial(AppPtr app, sys::Address to, Deadline deadline);
  static async::Task<void> run_link(AppPtr app, ConnectionPtr link);
  static async::Task<void> retire(ConnectionPtr link);
  async::Task<void> sweep();

  sys::Host& host_;
  http::ClientLimits limits_;
  std::map<std::string, AppPtr> apps_;  // by address
  async::TaskGroup tasks_;              // last: uses the others
};

}  // namespace perigee::http2
