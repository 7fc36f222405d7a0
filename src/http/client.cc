#include "http/client.h"

#include <algorithm>
#include <array>

#include "async/combine.h"
#include "base/text.h"
#include "http/client_exchange.h"
#include "http/client_pool.h"
#include "http/codec.h"

namespace perigee::http {
namespace {

using Forwarded = std::expected<std::unique_ptr<Response>, RequestFailure>;

bool is_idempotent(std::string_view method) {
  constexpr std::array<std::string_view, 6> kMethods{"GET",    "HEAD", "OPTIONS",
                                                     "DELETE", "PUT",  "TRACE"};
  return std::ranges::find(kMethods, method) != kMethods.end();
}

// RFC 9112 section 6.1: the framing is ours, whatever the caller's fields say.
void set_framing(RequestHead& head, std::optional<std::uint64_t> length, bool has_body) {
  head.headers.remove("transfer-encoding");
  head.headers.remove("content-length");
  if (has_body && !length) {
    head.headers.add("Transfer-Encoding", "chunked");
  } else if (has_body || head.method == "POST" || head.method == "PUT" || head.method == "PATCH") {
    head.headers.add("Content-Length", std::to_string(length.value_or(0)));
  }
}

// Section 7.6.1 of RFC 9110: what is for the next server alone is named.
void name_connection_fields(RequestHead& head) {
  if (head.headers.find("te") != nullptr && !has_token(head.headers, "connection", "te")) {
    head.headers.add("Connection", "TE");
  }
}

void ensure_host(RequestHead& head, const sys::Address& to) {
  if (head.headers.find("host") == nullptr) {
    head.headers.add("Host", to.is_unix() ? std::string("localhost") : to.str());
  }
}

}  // namespace

struct Client::Parts {
  Parts(sys::Host& h, ClientLimits l, std::shared_ptr<crypto::TlsClient> t)
      : host(h),
        limits(l),
        tls(std::move(t)),
        pool(std::make_shared<Pool>(h.loop, l)),
        sweeper(sweep(*this)) {
    sweeper.start();
  }
  async::Task<Result<std::unique_ptr<sys::Stream>>> connect(sys::Address to, Deadline deadline);
  async::Task<std::expected<std::unique_ptr<Exchange>, RequestFailure>> fresh(sys::Address to,
                                                                              Deadline deadline);
  async::Task<Forwarded> exchange(sys::Address to, RequestHead head, std::string_view text,
                                  Body* body, Deadline deadline);
  static async::Task<void> sweep(Parts& parts);

  sys::Host& host;
  ClientLimits limits;
  std::shared_ptr<crypto::TlsClient> tls;  // null: plain connections
  std::shared_ptr<Pool> pool;
  async::Task<void> sweeper;
};

Client::Client(sys::Host& host, ClientLimits limits, std::shared_ptr<crypto::TlsClient> tls)
    : parts_(std::make_unique<Parts>(host, limits, std::move(tls))) {}
Client::~Client() = default;

async::Task<void> Client::Parts::sweep(Parts& parts) {
  for (;;) {
    co_await parts.host.loop.sleep(parts.limits.idle_timeout / 2);
    parts.pool->expire();
  }
}

async::Task<Result<std::unique_ptr<sys::Stream>>> Client::Parts::connect(sys::Address to,
                                                                         Deadline deadline) {
  CO_TRY(std::unique_ptr<sys::Stream> stream, co_await host.network.connect(to, deadline));
  if (!tls) co_return std::move(stream);
  co_return co_await async::with_deadline(
      host.loop, deadline, tls->connect(std::move(stream), to.host()), "TLS to " + to.str());
}

async::Task<std::expected<std::unique_ptr<Exchange>, RequestFailure>> Client::Parts::fresh(
    sys::Address to, Deadline deadline) {
  deadline.at = std::min(deadline.at, host.loop.now() + limits.connect_timeout);
  auto stream = co_await connect(to, deadline);
  if (!stream) co_return std::unexpected(RequestFailure{.error = std::move(stream).error()});
  co_return std::make_unique<Exchange>(host.loop, pool, to, *std::move(stream));
}

async::Task<Forwarded> Client::Parts::exchange(sys::Address to, RequestHead head,
                                               std::string_view text, Body* body,
                                               Deadline deadline) {
  if (auto pooled = pool->take(to)) {
    auto attempt = std::make_unique<Exchange>(host.loop, pool, to, std::move(pooled));
    auto done = co_await attempt->run(head, text, body, deadline);
    if (done) co_return std::move(attempt);
    // A streamed body has been read from by now: it can't be sent again.
    const bool repeatable = is_idempotent(head.method) && body == nullptr;
    if (!attempt->silent() || !repeatable || done.error().from_body ||
        done.error().error.code == Code::deadline_exceeded) {
      co_return std::unexpected(std::move(done).error());
    }
  }
  auto attempt = co_await fresh(to, deadline);
  if (!attempt) co_return std::unexpected(std::move(attempt).error());
  auto done = co_await (*attempt)->run(head, text, body, deadline);
  if (!done) co_return std::unexpected(std::move(done).error());
  co_return *std::move(attempt);
}

async::Task<Result<std::unique_ptr<Response>>> Client::request(sys::Address to, RequestHead head,
                                                               std::string body,
                                                               Deadline deadline) {
  set_framing(head, body.size(), !body.empty());
  name_connection_fields(head);
  ensure_host(head, to);
  auto done = co_await parts_->exchange(to, std::move(head), body, nullptr, deadline);
  if (!done) co_return fail(std::move(done).error().error);
  co_return *std::move(done);
}

async::Task<Forwarded> Client::forward(sys::Address to, RequestHead head, Body* body,
                                       Deadline deadline) {
  const bool has_body = body != nullptr && body->length() != std::uint64_t{0};
  set_framing(head, body == nullptr ? 0 : body->length(), has_body);
  name_connection_fields(head);
  ensure_host(head, to);
  co_return co_await parts_->exchange(to, std::move(head), {}, has_body ? body : nullptr, deadline);
}

void Client::forget(const sys::Address& to) {
  parts_->pool->forget(to);
}

std::size_t Client::idle_connections() const {
  return parts_->pool->size();
}

}  // namespace perigee::http
