#include "monitor/http_reply.h"

#include <doctest/doctest.h>

#include "monitor/firecracker_api.h"

using namespace perigee;
using namespace perigee::monitor;

namespace {

// What one feed of `bytes` gives; nullopt: it is not all there.
Result<std::optional<HttpReply>> read(std::string_view bytes) {
  HttpReplyReader reader;
  reader.feed(bytes);
  return reader.next();
}

}  // namespace

TEST_CASE("a request to Firecracker says its length, one without a body does not") {
  CHECK(api_request({"PUT", "/vsock", json::object({{"guest_cid", 3}})}) ==
        "PUT /vsock HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
        "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"guest_cid\":3}");
  CHECK(api_request({"GET", "/version"}) ==
        "GET /version HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n");
}

TEST_CASE("a reply without a body is one") {
  CHECK(read("HTTP/1.1 204 \r\nServer: Firecracker API\r\n\r\n").value() ==
        HttpReply{.status = 204});
}

TEST_CASE("a reply is read however it is cut, and what follows is the next one's") {
  const std::string two =
      "HTTP/1.1 400 Bad Request\r\ncontent-length: 5\r\n\r\nwrong"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
  HttpReplyReader reader;
  std::vector<HttpReply> replies;
  for (const char byte : two) {
    reader.feed(std::string_view(&byte, 1));
    auto reply = reader.next().value();
    if (reply) replies.push_back(*std::move(reply));
  }
  CHECK(replies == std::vector<HttpReply>{{400, "wrong"}, {200, "{}"}});
}

TEST_CASE("what is not such a reply is refused") {
  for (const char* bytes : {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 2x4 \r\n\r\n",
                            "HTTP/1.1 99\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
                            "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}) {
    CAPTURE(bytes);
    CHECK(!read(bytes).has_value());
  }
  CHECK(!read(std::string(10'000, 'x')).has_value());
}
