// Protocol: what a Server's connections may speak beside HTTP/1.1. HTTP/2 is one (src/http2); it
// builds on this folder, which therefore knows it by this interface alone.
//
// Which one a connection speaks is decided before its first request: over TLS by what both sides
// agreed on (RFC 7301), without TLS by what the client sends first (RFC 9113 section 3.3).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "async/task.h"
#include "http/server_context.h"
#include "sys/network.h"

namespace perigee::http {

enum class Security { plain, tls };

struct Accepted {
  std::unique_ptr<sys::Stream> stream;
  Security security = Security::plain;
  std::string ahead{};  // bytes that were read from the stream before
};

class Protocol {
 public:
  virtual ~Protocol() = default;
  virtual std::string_view alpn() const = 0;
  // What its connections begin with where nothing was agreed: it reads like a head of HTTP/1.
  virtual std::string_view preface() const = 0;
  // One connection, until it ends; soon after `context.draining` is set.
  virtual async::Task<void> serve(ServerContext& context, Accepted connection) = 0;
};

}  // namespace perigee::http
