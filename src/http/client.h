// Client: HTTP/1.1 requests over pooled keep-alive connections to TCP or Unix addresses.
//
//   http::Client client(host, limits);
//   CO_TRY(auto response, co_await client.request(address, head, body_text, deadline));
//   response->head.status; co_await response->body().read(…);   // or read_all
//
// A Response that is destroyed before its body's end closes its connection; otherwise the
// connection goes back to the pool. The same pool serves the router's upstreams. Interim (1xx)
// responses are skipped. A pooled connection that the peer has closed meanwhile is replaced by a
// fresh one without the caller's notice where the request can't have been acted on, or may be
// repeated (an idempotent method, RFC 9110 section 9.2.2, whose body was not touched).
//
// With a TlsClient every connection is TLS, and the server's certificate must name its IP address.
#pragma once

#include <memory>
#include <string>

#include "base/time.h"
#include "crypto/tls.h"
#include "http/limits.h"
#include "http/message.h"
#include "sys/host.h"

namespace perigee::http {

class Response {
 public:
  virtual ~Response() = default;
  ResponseHead head;
  virtual Body& body() = 0;
};

// Whether any byte of the request can have been processed: the router retries elsewhere only if
// not.
struct RequestFailure {
  Error error;
  bool sent = false;
  bool from_body = false;  // reading the request's own body failed: not the server's fault
};

class Client {
 public:
  Client(sys::Host& host, ClientLimits limits, std::shared_ptr<crypto::TlsClient> tls = nullptr);
  ~Client();

  // `deadline` bounds connect and the response's head; reading the body is the caller's to bound.
  async::Task<Result<std::unique_ptr<Response>>> request(sys::Address to, RequestHead head,
                                                         std::string body, Deadline deadline);
  // Streams `body` (length known or chunked) to the server; null: no body. The response may come
  // before the body's end: then the rest is sent while the Response lives, which `body` must
  // outlive. While the body makes progress the deadline moves with it.
  async::Task<std::expected<std::unique_ptr<Response>, RequestFailure>> forward(sys::Address to,
                                                                                RequestHead head,
                                                                                Body* body,
                                                                                Deadline deadline);
  // Drops idle connections to an address (its machine is gone).
  void forget(const sys::Address& to);
  std::size_t idle_connections() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace perigee::http
