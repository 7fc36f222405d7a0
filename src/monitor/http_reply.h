// HttpReplyReader: the responses of Firecracker's API server, out of a byte stream: HTTP/1.1 with
// at most a Content-Length body, which is all that it sends (src/http, with TLS behind it, is too
// much for a process that stands beside each VM). Sans-I/O: bytes in, replies out. Anything else is
// an error, after which the connection is of no use.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::monitor {

struct HttpReply {
  int status = 0;
  std::string body = {};
  bool operator==(const HttpReply&) const = default;
};

class HttpReplyReader {
 public:
  void feed(std::string_view bytes) { buffer_ += bytes; }
  // The next whole reply, if it is there.
  Result<std::optional<HttpReply>> next();

 private:
  std::string buffer_;
};

}  // namespace perigee::monitor
