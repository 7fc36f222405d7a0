// Other implementations against our server, on real sockets: curl and nghttp2's own load tool.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "http2/test_fixture.h"
#include "sys/posix_host.h"

namespace perigee::http2 {
namespace {

struct RealServer {
  RealServer() { tasks.spawn(accept(*this)); }
  ~RealServer() { tasks.cancel_all(); }
  static async::Task<void> accept(RealServer& self) {
    for (;;) {
      auto stream = co_await self.listener->accept();
      REQUIRE(stream.has_value());
      self.tasks.spawn(serve(self, *std::move(stream)));
    }
  }
  static async::Task<void> serve(RealServer& self, std::unique_ptr<sys::Stream> stream) {
    ServerConnection connection(self.context, {.stream = std::move(stream)}, Counterpart::router);
    co_await connection.run();
  }
  sys::Host& host() { return posix->host(); }
  std::string url(std::string_view path) {
    return fmt::format("http://{}{}", listener->local(), path);
  }
  // Its standard output; nullopt where the program is not installed.
  std::optional<std::string> run(std::vector<std::string> argv, std::string input = {}) {
    if (!sys::find_program(argv[0])) {
      MESSAGE("skipped: ", argv[0], " is not installed (tools/setup test)");
      return std::nullopt;
    }
    const sys::Spawn spawn{.argv = std::move(argv)};
    auto done = posix->loop().run(
        host().processes.run(spawn, std::move(input), posix->loop().deadline_in(20s)));
    REQUIRE_MESSAGE(done.has_value(), done.error().context);
    REQUIRE_MESSAGE(done->status.success(), done->err);
    return done->out;
  }

  std::unique_ptr<sys::PosixHost> posix = *sys::PosixHost::open(1);
  std::unique_ptr<sys::Listener> listener =
      *posix->host().network.listen(*sys::Address::parse("127.0.0.1:0"));
  TestHandler handler{posix->loop()};
  http::ServerContext context{host(), handler, {}};
  async::TaskGroup tasks{posix->loop()};
};

TEST_CASE("curl uploads and downloads with prior knowledge") {
  RealServer server;
  const std::string body(300'000, 'u');
  const auto counted = server.run(
      {"curl", "-sS", "--http2-prior-knowledge", "--data-binary", "@-", server.url("/count")},
      body);
  if (!counted) return;
  CHECK(*counted == "300000");
  const auto got = server.run({"curl", "-sS", "--http2-prior-knowledge", "-w", "%{http_version}",
                               server.url("/bytes/3000000")});
  REQUIRE(got.has_value());
  CHECK(got->size() == 3'000'001);
  CHECK(got->ends_with("2"));
}

TEST_CASE("nghttp sends trailers and gets them back") {
  RealServer server;
  const auto file = std::filesystem::temp_directory_path() /
                    ("perigee-trailers-" + sys::random_hex(server.host().entropy, 8));
  std::ofstream(file) << "body";
  const auto seen = server.run(
      {"nghttp", "-v", "-d", file.string(), "--trailer", "x-end: last", server.url("/echo")});
  std::filesystem::remove(file);
  if (!seen) return;
  // What it got, beside what it tells of its own sending.
  CHECK(seen->find("recv (stream_id=13) x-end: last") != std::string::npos);
}

TEST_CASE("h2load's concurrent streams are all answered") {
  RealServer server;
  const auto report =
      server.run({"h2load", "-n", "2000", "-c", "4", "-m", "32", server.url("/bytes/1000")});
  if (!report) return;
  CHECK(report->find("2000 succeeded, 0 failed, 0 errored, 0 timeout") != std::string::npos);
  CHECK(server.handler.requests == 2000);
}

}  // namespace
}  // namespace perigee::http2
