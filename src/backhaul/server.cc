#include "backhaul/server.h"

#include "async/combine.h"
#include "base/log.h"

namespace perigee::backhaul {
namespace {

using Accepted = Result<std::unique_ptr<sys::Stream>>;

async::Task<void> accept_into(sys::Listener& listener, std::optional<Accepted>& result) {
  result.emplace(co_await listener.accept());
}
// The first bytes; none where none came in time.
async::Task<void> greeting(async::Loop& loop, sys::Stream& stream, std::string& bytes) {
  std::string buffer(proxy_protocol::kMaxHeader, '\0');
  const auto count = co_await async::with_deadline(loop, loop.deadline_in(kGreeting),
                                                   stream.read(std::span(buffer)), "greeting");
  if (count) bytes = buffer.substr(0, *count);
}
async::Task<void> sleep_until(async::Loop& loop, MonotonicTime at) {
  co_await loop.sleep_until(at);
}
// What a router says at once on a connection that it has made just now is still heard.
async::Task<void> soon_after(async::Loop& loop, async::Event& draining) {
  co_await draining.wait();
  co_await loop.sleep(kLastGreeting);
}

}  // namespace

Server::Server(sys::Host& host, http::Handler& handler, TunnelHandler& tunnels, Allow allow)
    : host_(host),
      context_(host, handler, {}),
      tunnels_(tunnels),
      allow_(std::move(allow)),
      tasks_(host.loop, kMaxInbound) {}

Server::~Server() {
  tasks_.cancel_all();
}

async::Task<void> Server::serve(std::unique_ptr<sys::Listener> listener) {
  while (!context_.draining.is_set()) {
    std::optional<Accepted> accepted;
    co_await async::first_of(host_.loop, accept_into(*listener, accepted),
                             context_.draining.wait());
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
  std::string ahead;
  co_await async::first_of(host_.loop, greeting(host_.loop, *stream, ahead),
                           soon_after(host_.loop, context_.draining));
  if (ahead.empty()) co_return;
  if (ahead[0] != proxy_protocol::kSignature[0]) {
    co_return co_await serve_http(std::move(stream), std::move(ahead));
  }
  if (const auto served = co_await serve_tunnel(*stream, std::move(ahead)); !served) {
    log_warning("backhaul", "{}: {}", stream->peer(), served.error().context);
  }
}

async::Task<void> Server::serve_http(std::unique_ptr<sys::Stream> stream, std::string ahead) {
  http2::ServerConnection connection(context_,
                                     {.stream = std::move(stream), .ahead = std::move(ahead)},
                                     http2::Counterpart::router);
  co_await connection.run();
}

// A client waits for the answer: nothing follows its opening before that.
async::Task<Result<void>> Server::serve_tunnel(sys::Stream& stream, std::string ahead) {
  const Deadline deadline = host_.loop.deadline_in(kConnectTimeout);
  for (;;) {
    CO_TRY(const auto decoded, proxy_protocol::decode(ahead));
    if (decoded && decoded->size != ahead.size()) {
      co_return fail(Code::data_loss, "bytes after a tunnel's opening, before its answer");
    }
    if (decoded) {
      CO_TRY(Tunnel tunnel, tunnel_of(decoded->header));
      co_await tunnels_.serve_tunnel(std::move(tunnel), stream);
      co_return Result<void>();
    }
    std::string more(proxy_protocol::kMaxHeader, '\0');
    CO_TRY(const std::size_t count,
           co_await async::with_deadline(host_.loop, deadline, stream.read(std::span(more)),
                                         "a tunnel's opening"));
    if (count == 0) co_return fail(Code::end_of_stream, "a tunnel's opening is cut off");
    ahead.append(more, 0, count);
  }
}

async::Task<void> Server::drain(Deadline deadline) {
  context_.draining.set();
  co_await host_.loop.yield();  // who has accepted a connection just now begins to serve it
  co_await async::first_of(host_.loop, tasks_.drained(), sleep_until(host_.loop, deadline.at));
  tasks_.cancel_all();
}

}  // namespace perigee::backhaul
