// HTTP messages as values (RFC 9110): request and response heads, and the interfaces through
// which bodies stream. One stack for the router, the API server and our own client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "crypto/tls.h"
#include "http/headers.h"
#include "sys/network.h"

namespace perigee::http {

struct RequestHead {
  std::string method = "GET";
  std::string target = "/";  // origin-form: path and query, undecoded
  int major_version = 1;     // as it came in: 1 or 2
  int minor_version = 1;
  Headers headers{};

  std::string_view path() const;                                  // undecoded, without query
  std::optional<std::string> query(std::string_view name) const;  // percent-decoded
};

struct ResponseHead {
  int status = 200;
  int major_version = 1;
  int minor_version = 1;
  Headers headers{};
};

// Bytes of a message body as they arrive, framing removed.
class Body {
 public:
  virtual ~Body() = default;
  virtual async::Task<Result<std::size_t>> read(std::span<char> into) = 0;  // 0: the end
  // Declared length; nullopt when chunked or until close.
  virtual std::optional<std::uint64_t> length() const = 0;
  // Bytes that have arrived: the next read returns some of them without waiting.
  virtual std::size_t ready() const { return 0; }
  // The fields that came behind it, once a read has returned 0 (http/trailers.h).
  virtual Headers trailers() const { return {}; }
};

// The whole of a body, `resource_exhausted` beyond `max`.
async::Task<Result<std::string>> read_all(Body& body, std::size_t max);

struct Request {
  RequestHead head;
  Body& body;
  sys::Address peer;
  sys::Address local{};                   // of ours, that the client is connected to
  std::optional<std::uint32_t> peer_uid;  // on Unix sockets
  bool tls = false;
  std::optional<crypto::PeerIdentity> peer_identity;  // of a client's verified certificate
  std::string request_id;
};

// Answers one request, once: either `send`, or `start`, any number of `write`, then `finish`.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  virtual async::Task<Result<void>> send(ResponseHead head, std::string body) = 0;
  // Without a Content-Length in `head` the body is chunked (or until close for HTTP/1.0).
  virtual async::Task<Result<void>> start(ResponseHead head) = 0;
  virtual async::Task<Result<void>> write(std::string_view data) = 0;
  // `trailers` are dropped where the client can't take them: it must ask for them (TE: trailers) in
  // HTTP/1.1, and a body of a known length has none there.
  virtual async::Task<Result<void>> finish(Headers trailers = {}) = 0;
  virtual bool started() const = 0;
  // Answers 101 with `protocol` in its Upgrade field, and `fields`. The stream is the connection in
  // its new protocol, valid until the handler returns; then it is closed, after the client has had
  // time to read to its end. Only for a request that asks for it (http/upgrade.h).
  virtual async::Task<Result<sys::Stream*>> switch_protocols(std::string protocol,
                                                             Headers fields = {}) = 0;
  // Completes when the client has gone away; for long responses that have nothing to write now.
  virtual async::Task<void> closed() = 0;
};

class Handler {
 public:
  virtual ~Handler() = default;
  // One request. Handlers run concurrently for different connections. A handler that returns
  // without an answer is answered 500.
  virtual async::Task<void> handle(Request& request, ResponseWriter& response) = 0;
};

std::string_view reason_phrase(int status);
std::string percent_decode(std::string_view text);
std::string percent_encode(std::string_view text);  // everything but unreserved characters

}  // namespace perigee::http
