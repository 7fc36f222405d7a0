// A change of protocol, between our client and our server and in raw bytes.
#include "http/upgrade.h"

#include <doctest/doctest.h>

#include <array>

#include "async/task_group.h"
#include "http/server.h"
#include "sys/posix_host.h"

namespace perigee::http {
namespace {

// Changes to "echo/1", which gives back what it reads, until a full stop.
class Echo : public Handler {
 public:
  async::Task<void> handle(Request& request, ResponseWriter& response) override {
    if (!asks_for_upgrade(request.head, "echo/1")) {
      std::ignore = co_await response.send({.status = 426}, "ask for echo/1");
      co_return;
    }
    const auto stream = co_await response.switch_protocols("echo/1");
    if (!stream) co_return;
    CHECK_FALSE((co_await response.send({.status = 200}, "too late")).has_value());
    std::array<char, 5> buffer{};
    for (std::string_view got; !got.ends_with('.');) {
      const auto n = co_await (*stream)->read(buffer);
      if (!n || *n == 0) co_return;
      got = std::string_view(buffer.data(), *n);
      if (!co_await (*stream)->write(got)) co_return;
    }
  }
};

struct Fixture {
  Fixture() {
    auto listener = *host->host().network.listen(*sys::Address::parse("127.0.0.1:0"));
    address = listener->local();
    tasks.spawn(server.serve(std::move(listener)));
  }
  async::Loop& loop() { return host->loop(); }
  Result<UpgradeAnswer> ask(const std::string& protocol) {
    RequestHead head{.target = "/"};
    head.headers.set("Upgrade", protocol);
    return loop().run(upgrade(host->host(), address, std::move(head), loop().deadline_in(10s)));
  }

  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(1);
  Echo echo;
  Server server{host->host(), echo, {}};
  sys::Address address;
  async::TaskGroup tasks{host->loop()};
};

async::Task<std::string> read_to_end(sys::Stream& stream) {
  std::string out;
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto n = co_await stream.read(buffer);
    if (!n || *n == 0) co_return out;
    out.append(buffer.data(), *n);
  }
}

TEST_CASE_FIXTURE(Fixture, "a connection goes on in the other protocol until the handler returns") {
  auto answer = ask("echo/1");
  REQUIRE(answer.has_value());
  CHECK(answer->head.status == 101);
  REQUIRE(answer->stream != nullptr);
  REQUIRE(loop().run(answer->stream->write("hello there.")).has_value());
  CHECK(loop().run(read_to_end(*answer->stream)) == "hello there.");
}

TEST_CASE_FIXTURE(Fixture, "what a client sends ahead of the answer is not lost") {
  auto stream = loop().run(host->host().network.connect(address, loop().deadline_in(10s)));
  REQUIRE(stream.has_value());
  REQUIRE(
      loop()
          .run((*stream)->write("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
                                "Upgrade: other/2, echo/1\r\n\r\nsent ahead."))
          .has_value());
  CHECK(loop().run(read_to_end(**stream)) ==
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n"
        "sent ahead.");
}

TEST_CASE_FIXTURE(Fixture, "a refusal comes with its reason") {
  const auto answer = ask("other/1");
  REQUIRE(answer.has_value());
  CHECK(answer->stream == nullptr);
  CHECK(answer->head.status == 426);
  CHECK(answer->body == "ask for echo/1");
}

}  // namespace
}  // namespace perigee::http
