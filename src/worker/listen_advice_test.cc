#include "worker/listen_advice.h"

#include <doctest/doctest.h>

namespace perigee::worker {
namespace {

TEST_CASE("an app that listens elsewhere is told where, and both ways out") {
  CHECK(listen_advice(8080, {{"0.0.0.0", 3000, "node"}}) ==
        "nothing is listening on port 8080; the app listens on 0.0.0.0:3000 (bind 0.0.0.0:8080, "
        "or set internal_port = 3000)");
  CHECK(listen_advice(8080, {{"127.0.0.1", 3000, "node"}}) ==
        "nothing is listening on port 8080; the app listens on 127.0.0.1:3000 (bind "
        "0.0.0.0:8080, or bind 0.0.0.0:3000 and set internal_port = 3000)");
}

TEST_CASE("the right port on loopback is told to bind every address") {
  for (const char* address : {"127.0.0.1", "127.8.0.1"}) {
    CHECK(listen_advice(8080, {{address, 8080, ""}}) ==
          fmt::format("nothing is listening on port 8080 for others; the app listens on {}:8080 "
                      "(bind 0.0.0.0:8080)",
                      address));
  }
  CHECK(listen_advice(8080, {{"::1", 8080, ""}}).find("[::1]:8080 (bind") != std::string::npos);
}

TEST_CASE("an app that listens nowhere, and one that hangs, are told so") {
  CHECK(listen_advice(80, {}) ==
        "nothing is listening on port 80; the app listens on no port at all (let it bind "
        "0.0.0.0:80)");
  CHECK(listen_advice(80, {{"127.0.0.1", 80, ""}, {"::", 80, ""}})
            .starts_with("port 80 does not accept connections although the app listens on "
                         "127.0.0.1:80, [::]:80"));
}

TEST_CASE("many sockets make a short sentence") {
  const std::vector<vm::ListeningSocket> many(60, {"0.0.0.0", 3000, "x"});
  CHECK(describe_sockets(many) ==
        "0.0.0.0:3000 (x), 0.0.0.0:3000 (x), 0.0.0.0:3000 (x), 0.0.0.0:3000 (x), 56 more");
  CHECK(describe_sockets({}).empty());
}

}  // namespace
}  // namespace perigee::worker
