#include "http/server.h"

#include "async/combine.h"
#include "async/event.h"
#include "base/log.h"
#include "http/client_slots.h"
#include "http/server_connection.h"

namespace perigee::http {
namespace {

constexpr Duration kAcceptPause = 50ms;  // after a failed accept: no descriptors, most likely

using StreamResult = Result<std::unique_ptr<sys::Stream>>;

async::Task<void> accept_into(sys::Listener& listener, std::optional<StreamResult>& result) {
  result.emplace(co_await listener.accept());
}

}  // namespace

struct Server::Parts {
  Parts(sys::Host& host, Handler& handler, ServerLimits limits, Protocol* other_)
      : context(host, handler, limits),
        other(other_),
        clients(limits.max_per_client, Loopback::exempt),
        handshakes(limits.max_handshakes_per_client, Loopback::exempt),
        slots(host.loop, limits.max_connections),
        connections(host.loop, limits.max_connections) {
    own.spawn(context.idle.run());
  }

  ServerContext context;
  Protocol* other;  // may be null
  ClientSlots clients;
  ClientSlots handshakes;
  async::Semaphore slots;
  async::TaskGroup connections;
  async::TaskGroup own{context.host.loop};

  // Those between two requests end at once.
  void begin_drain() {
    context.draining.set();
    context.idle.end_all();
  }
  static async::Task<void> accept_loop(std::shared_ptr<Parts> parts,
                                       std::unique_ptr<sys::Listener> listener,
                                       crypto::TlsAcceptor* tls);
  // A connection's place among all, and among its client's.
  struct Place {
    async::Semaphore::Permit permit;
    ClientSlots::Slot client;
  };
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
  parts_->begin_drain();
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

// Accepts until the server drains. A full server leaves new connections in the backlog.
async::Task<void> Server::Parts::accept_loop(std::shared_ptr<Parts> parts,
                                             std::unique_ptr<sys::Listener> listener,
                                             crypto::TlsAcceptor* tls) {
  ServerContext& context = parts->context;
  async::Loop& loop = context.host.loop;
  while (!context.draining.is_set()) {
    auto permit = co_await parts->slots.acquire();
    std::optional<StreamResult> accepted;
    co_await async::first_of(loop, accept_into(*listener, accepted), context.draining.wait());
    if (!accepted || context.draining.is_set()) co_return;
    if (!*accepted) {
      log_warning("http", "{}: {}", listener->local(), accepted->error().context);
      co_await loop.sleep(kAcceptPause);
      continue;
    }
    Place place{.permit = std::move(permit), .client = parts->clients.take((**accepted)->peer())};
    if (!place.client) continue;  // it has as many as it may: this one is closed
    if (tls != nullptr) {
      parts->connections.spawn(run_tls(*parts, **std::move(accepted), std::move(place), *tls));
    } else {
      parts->connections.spawn(run_plain(*parts, **std::move(accepted), std::move(place)));
    }
  }
}

async::Task<void> Server::serve(std::unique_ptr<sys::Listener> listener) {
  return Parts::accept_loop(parts_, std::move(listener), nullptr);
}

async::Task<void> Server::serve_tls(std::unique_ptr<sys::Listener> listener,
                                    crypto::TlsAcceptor& tls) {
  return Parts::accept_loop(parts_, std::move(listener), &tls);
}

async::Task<void> Server::drain(Deadline deadline) {
  parts_->begin_drain();
  async::Loop& loop = parts_->context.host.loop;
  struct Sleep {
    static async::Task<void> run(async::Loop& l, MonotonicTime at) { co_await l.sleep_until(at); }
  };
  co_await async::first_of(loop, parts_->connections.drained(), Sleep::run(loop, deadline.at));
  parts_->connections.cancel_all();
}

}  // namespace perigee::http
