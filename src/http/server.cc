#include "http/server.h"

#include <algorithm>

#include "async/combine.h"
#include "async/event.h"
#include "async/turn.h"
#include "base/log.h"
#include "http/client_share.h"
#include "http/client_slots.h"
#include "http/server_connection.h"

namespace perigee::http {
namespace {

// Before others have their turn. Not one by one: a client with all its connections is refused by
// accepting it, and who comes after it waits in the same queue.
constexpr std::size_t kAcceptBurst = 64;
constexpr Duration kAcceptPause = 50ms;  // after a failed accept: no descriptors, most likely

using StreamResult = Result<std::unique_ptr<sys::Stream>>;

async::Task<void> accept_into(sys::Listener& listener, std::optional<StreamResult>& result) {
  result.emplace(co_await listener.accept());
}

async::Task<void> sleep_until(async::Loop& loop, MonotonicTime at) {
  co_await loop.sleep_until(at);
}

}  // namespace

struct Server::Parts {
  Parts(sys::Host& host, Handler& handler, ServerLimits limits, Protocol* other_)
      : context(host, handler, limits),
        other(other_),
        clients(limits.max_per_client, Loopback::exempt),
        handshakes(limits.max_handshakes_per_client, Loopback::exempt),
        slots(host.loop, limits.max_connections),
        accepted(host.loop),
        connections(host.loop, limits.max_connections) {
    own.spawn(context.idle.run());
  }

  class Accepting;

  ServerContext context;
  Protocol* other;  // may be null
  ClientSlots clients;
  ClientSlots handshakes;
  async::Semaphore slots;
  std::size_t accepting = 0;  // loops that do
  async::Notify accepted;     // one of them has ended
  async::TaskGroup connections;
  async::TaskGroup own{context.host.loop};

  static async::Task<void> accept_loop(std::shared_ptr<Parts> parts,
                                       std::unique_ptr<sys::Listener> listener,
                                       crypto::TlsAcceptor* tls);
  // A connection's place among all, and among its client's.
  struct Place {
    async::Semaphore::Permit permit;
    ClientSlots::Slot client;
  };
  // All that was accepted has ended, while draining.
  async::Task<void> over();
  // `tls`: null without.
  void serve(std::unique_ptr<sys::Stream> stream, async::Semaphore::Permit permit,
             crypto::TlsAcceptor* tls);
  static async::Task<void> run_plain(Parts& parts, std::unique_ptr<sys::Stream> stream,
                                     Place place);
  static async::Task<void> run_tls(Parts& parts, std::unique_ptr<sys::Stream> stream, Place place,
                                   crypto::TlsAcceptor& tls);
  async::Task<Result<std::unique_ptr<sys::Stream>>> shake_hands(std::unique_ptr<sys::Stream> stream,
                                                                crypto::TlsAcceptor& tls);
};

Server::Server(sys::Host& host, Handler& handler, ServerLimits limits, Protocol* other)
    : parts_(std::make_shared<Parts>(host, handler, limits, other)) {}

Server::~Server() {
  parts_->context.draining.set();
  parts_->context.idle.end_all();
  parts_->connections.cancel_all();
  parts_->own.cancel_all();
}

std::size_t Server::connections() const {
  return parts_->connections.size();
}

async::Task<void> Server::Parts::run_plain(Parts& parts, std::unique_ptr<sys::Stream> stream,
                                           Place place) {
  const Place held = std::move(place);
  std::optional<Accepted> rest;
  {
    ServerConnection connection(parts.context, std::move(stream), Security::plain,
                                parts.other == nullptr ? "" : parts.other->preface());
    co_await connection.run();
    rest = connection.take_other();
  }
  if (rest) co_await parts.other->serve(parts.context, *std::move(rest));
}

async::Task<StreamResult> Server::Parts::shake_hands(std::unique_ptr<sys::Stream> stream,
                                                     crypto::TlsAcceptor& tls) {
  const ClientSlots::Slot slot = handshakes.take(stream->peer());
  if (!slot) co_return fail(Code::resource_exhausted, "too many TLS handshakes of one client");
  async::Loop& loop = context.host.loop;
  co_return co_await async::with_deadline(loop, loop.deadline_in(context.limits.handshake_timeout),
                                          tls.accept(std::move(stream)), "TLS handshake");
}

async::Task<void> Server::Parts::run_tls(Parts& parts, std::unique_ptr<sys::Stream> stream,
                                         Place place, crypto::TlsAcceptor& tls) {
  const Place held = std::move(place);
  ServerContext& context = parts.context;
  auto secure = co_await parts.shake_hands(std::move(stream), tls);
  if (!secure) {
    log_debug("http", "{}", secure.error().context);
    co_return;
  }
  if (parts.other != nullptr && crypto::agreed_protocol(**secure) == parts.other->alpn()) {
    co_return co_await parts.other->serve(
        context, {.stream = *std::move(secure), .security = Security::tls});
  }
  ServerConnection connection(context, *std::move(secure), Security::tls);
  co_await connection.run();
}

// Counts a loop that accepts.
class Server::Parts::Accepting {
 public:
  explicit Accepting(Parts& parts) : parts_(parts) { ++parts_.accepting; }
  ~Accepting() {
    --parts_.accepting;
    parts_.accepted.notify_all();
  }
  Accepting(const Accepting&) = delete;
  Accepting& operator=(const Accepting&) = delete;

 private:
  Parts& parts_;
};

async::Task<void> Server::Parts::over() {
  while (accepting > 0) co_await accepted.wait();
  co_await connections.drained();
}

// A client that has as many as it may is closed.
void Server::Parts::serve(std::unique_ptr<sys::Stream> stream, async::Semaphore::Permit permit,
                          crypto::TlsAcceptor* tls) {
  Place place{.permit = std::move(permit), .client = clients.take(stream->peer())};
  if (!place.client) return;
  const async::ShareId share = client_share(context.host.loop, stream->peer());
  if (tls != nullptr) {
    connections.spawn_for(share, run_tls(*this, std::move(stream), std::move(place), *tls));
  } else {
    connections.spawn_for(share, run_plain(*this, std::move(stream), std::move(place)));
  }
}

// Accepts until the server drains, and then what the listener has taken before. A full server
// leaves new connections in the backlog.
async::Task<void> Server::Parts::accept_loop(std::shared_ptr<Parts> parts,
                                             std::unique_ptr<sys::Listener> listener,
                                             crypto::TlsAcceptor* tls) {
  const Accepting counted(*parts);
  ServerContext& context = parts->context;
  async::Loop& loop = context.host.loop;
  std::size_t in_a_row = 0;
  while (!context.draining.is_set()) {
    auto permit = co_await parts->slots.acquire();
    std::optional<StreamResult> accepted;
    co_await async::first_of(loop, accept_into(*listener, accepted), context.draining.wait());
    if (!accepted) break;
    if (*accepted) {
      parts->serve(**std::move(accepted), std::move(permit), tls);
      if (++in_a_row % kAcceptBurst == 0 && async::turn_is_long(loop)) co_await loop.yield();
    } else {
      log_warning("http", "{}: {}", listener->local(), accepted->error().context);
      co_await loop.sleep(kAcceptPause);
    }
  }
  if (listener->stop() == sys::Listener::Left::nothing) co_return;
  for (;;) {
    auto permit = co_await parts->slots.acquire();
    StreamResult accepted = co_await listener->accept();
    if (!accepted) co_return;
    parts->serve(*std::move(accepted), std::move(permit), tls);
  }
}

async::Task<void> Server::serve(std::unique_ptr<sys::Listener> listener) {
  return Parts::accept_loop(parts_, std::move(listener), nullptr);
}

async::Task<void> Server::serve_tls(std::unique_ptr<sys::Listener> listener,
                                    crypto::TlsAcceptor& tls) {
  return Parts::accept_loop(parts_, std::move(listener), &tls);
}

async::Task<void> Server::drain(Deadline deadline, Duration patience) {
  ServerContext& context = parts_->context;
  async::Loop& loop = context.host.loop;
  context.draining.set();
  const MonotonicTime end_of_patience = std::min(deadline.at, loop.now() + patience);
  co_await async::first_of(loop, parts_->over(), sleep_until(loop, end_of_patience));
  context.idle.end_all();
  co_await async::first_of(loop, parts_->over(), sleep_until(loop, deadline.at));
  parts_->connections.cancel_all();
}

}  // namespace perigee::http
