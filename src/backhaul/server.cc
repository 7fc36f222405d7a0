#include "backhaul/server.h"

#include "async/combine.h"
#include "base/log.h"

namespace perigee::backhaul {
namespace {

using Accepted = Result<std::unique_ptr<sys::Stream>>;

async::Task<void> accept_into(sys::Listener& listener, std::optional<Accepted>& result) {
  result.emplace(co_await listener.accept());
}
async::Task<void> sleep_until(async::Loop& loop, MonotonicTime at) {
  co_await loop.sleep_until(at);
}

}  // namespace

Server::Server(sys::Host& host, http::Handler& handler, Allow allow)
    : host_(host),
      handler_(handler),
      allow_(std::move(allow)),
      draining_(host.loop),
      tasks_(host.loop, kMaxInbound) {}

Server::~Server() {
  tasks_.cancel_all();
}

async::Task<void> Server::serve(std::unique_ptr<sys::Listener> listener) {
  while (!draining_.is_set()) {
    std::optional<Accepted> accepted;
    co_await async::first_of(host_.loop, accept_into(*listener, accepted), draining_.wait());
    if (!accepted) co_return;
    if (!*accepted) {
      log_warning("backhaul", "{}: {}", listener->local(), accepted->error().context);
      co_await host_.loop.sleep(kAcceptPause);
      continue;
    }
    const sys::Address peer = (**accepted)->peer();
    if (!allow_(peer)) {
      log_warning("backhaul", "{} is no node of the fleet: its connection is closed", peer);
    } else if (!tasks_.spawn(serve_connection(**std::move(accepted)))) {
      log_warning("backhaul", "{}: more than {} connections", peer, kMaxInbound);
    }
  }
}

async::Task<void> Server::serve_connection(std::unique_ptr<sys::Stream> stream) {
  http2::ServerConnection connection(host_, handler_, std::move(stream));
  struct Entry {
    std::set<http2::ServerConnection*>& all;
    http2::ServerConnection* own;
    ~Entry() { all.erase(own); }
  };
  const Entry entry{open_, *open_.insert(&connection).first};
  co_await connection.run();
}

async::Task<void> Server::drain(Deadline deadline) {
  draining_.set();
  for (http2::ServerConnection* each : open_) each->drain();
  co_await async::first_of(host_.loop, tasks_.drained(), sleep_until(host_.loop, deadline.at));
  tasks_.cancel_all();
}

}  // namespace perigee::backhaul
