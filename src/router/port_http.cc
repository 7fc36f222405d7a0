#include "router/port_http.h"

namespace perigee::router {

http::ServerLimits user_limits(std::size_t connections_per_client) {
  return {.max_per_client = connections_per_client,
          .max_handshakes_per_client = kMaxHandshakesPerClient};
}

PortHttp::PortHttp(sys::Host& host, State& state, Proxy& proxy, crypto::TlsServer& tls,
                   http::Protocol& http2, http::ServerLimits limits)
    : doors_{.plain = std::make_shared<StreamQueue::Streams>(host.loop, kMaxHandedOver),
             .tls = std::make_shared<StreamQueue::Streams>(host.loop, kMaxHandedOver)},
      handler_(proxy),
      tls_(state, tls),
      server_(host, handler_, limits, &http2) {}

async::Task<void> PortHttp::serve_plain() {
  return server_.serve(std::make_unique<StreamQueue>(doors_.plain));
}

async::Task<void> PortHttp::serve_tls() {
  return server_.serve_tls(std::make_unique<StreamQueue>(doors_.tls), tls_);
}

async::Task<Result<std::unique_ptr<sys::Stream>>> PortHttp::Tls::accept(
    std::unique_ptr<sys::Stream> stream) {
  const sys::Address local = stream->local();
  const auto owner = state.table->find_owner(model::Protocol::tcp, local.host(), local.port());
  if (!owner) co_return fail(Code::unavailable, "{} is no app's any more", local);
  crypto::TlsTerms terms = terms_of(*owner);
  terms.alpn = {"h2", "http/1.1"};
  co_return co_await tls.accept_on(std::move(terms), std::move(stream));
}

}  // namespace perigee::router
