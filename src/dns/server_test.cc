#include "dns/server.h"

#include <doctest/doctest.h>

#include "async/combine.h"
#include "sys/posix_host.h"

using namespace perigee;
using namespace perigee::dns;

namespace {

const std::string kHeader("\x12\x34\1\0\0\1\0\0\0\0\0\0", 12);
const std::string kInternal = kHeader + std::string("\3web\x8internal\0\0\x1c\0\1", 18);
const std::string kOutside = kHeader + std::string("\7example\3com\0\0\1\0\1", 17);

// A server on loopback, and a resolver behind it that answers with what it was asked, marked.
struct Fixture {
  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(1);
  sys::Address any = *sys::Address::parse("127.0.0.1:0");
  std::unique_ptr<sys::Datagrams> datagrams =
      *host->host().network.open_datagrams(any, sys::Binding::present);
  std::unique_ptr<sys::Datagrams> resolver =
      *host->host().network.open_datagrams(any, sys::Binding::present);
  std::unique_ptr<sys::Listener> streams =
      *host->host().network.listen(*sys::Address::parse("127.0.0.1:0"));
  std::optional<Client> client =
      Client{.view = {.app = "web", .hosts = {{"m1", "fra", "fd00::1"}}}};
  std::unique_ptr<Server> server;
  std::unique_ptr<async::TaskGroup> group;

  Fixture() { serve({resolver->local()}); }
  void serve(std::vector<sys::Address> resolvers) {
    group = std::make_unique<async::TaskGroup>(host->loop());
    server = std::make_unique<Server>(
        host->host(),
        [this](const sys::Address& at) {
          return host->host().network.open_datagrams(at, sys::Binding::present);
        },
        [this](const std::string&) { return client; }, std::move(resolvers));
    group->spawn(server->serve_datagrams(*datagrams));
    group->spawn(server->serve_streams(*streams));
    group->spawn(answer_all(*resolver));
  }
  static async::Task<void> answer_all(sys::Datagrams& at) {
    std::string buffer(1024, '\0');
    for (;;) {
      const auto received = co_await at.receive(buffer);
      if (!received) co_return;
      std::string answer = buffer.substr(0, received->size) + "answered";
      [[maybe_unused]] const auto other = at.send("\x12\x35 of another query", received->from);
      answer[2] = '\x81';
      [[maybe_unused]] const auto sent = at.send(answer, received->from);
    }
  }
  async::Task<Result<std::string>> exchange(std::string query) {
    CO_TRY(const auto socket, host->host().network.open_datagrams(any, sys::Binding::present));
    CO_TRY_VOID(socket->send(query, datagrams->local()));
    std::string buffer(2048, '\0');
    CO_TRY(const auto received, co_await socket->receive(buffer));
    co_return buffer.substr(0, received.size);
  }
  // "" for no answer.
  std::string ask(const std::string& query, Duration patience = 5s) {
    async::Loop& loop = host->loop();
    return loop.run(async::with_deadline(loop, loop.deadline_in(patience), exchange(query), "ask"))
        .value_or("");
  }
  async::Task<Result<std::string>> exchange_by_stream(std::string query) {
    CO_TRY(const auto stream,
           co_await host->host().network.connect(streams->local(), host->loop().deadline_in(5s)));
    const std::string framed = std::string(1, '\0') + static_cast<char>(query.size()) + query;
    CO_TRY_VOID(co_await stream->write(framed));
    std::string answer;
    std::string buffer(2048, '\0');
    while (answer.size() < 2 || answer.size() < 2U + static_cast<unsigned char>(answer[1])) {
      CO_TRY(const std::size_t n, co_await stream->read(buffer));
      if (n == 0) break;
      answer += buffer.substr(0, n);
    }
    co_return answer.substr(2);
  }
};

int code_of(const std::string& answer) {
  REQUIRE(answer.size() >= 12);
  return answer[3] & 15;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an internal name is answered from the asker's view, by UDP and TCP") {
  const std::string answer = ask(kInternal);
  CHECK(code_of(answer) == 0);
  CHECK(answer.ends_with(std::string("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16)));
  const auto by_stream = host->loop().run(exchange_by_stream(kInternal));
  REQUIRE(by_stream.has_value());
  CHECK(*by_stream == answer);
}

TEST_CASE_FIXTURE(Fixture, "another name is handed to the resolver, and its answer back") {
  CHECK(ask(kOutside).ends_with("answered"));
}

TEST_CASE_FIXTURE(Fixture, "a resolver that is silent is followed by the next") {
  const auto silent = *host->host().network.open_datagrams(any, sys::Binding::present);
  serve({silent->local(), resolver->local()});
  CHECK(ask(kOutside).ends_with("answered"));
}

TEST_CASE_FIXTURE(Fixture, "an app that is closed to the outside asks nobody outside") {
  client->outside = false;
  CHECK(code_of(ask(kOutside)) == static_cast<int>(Rcode::refused));
  CHECK(code_of(ask(kInternal)) == 0);
}

TEST_CASE_FIXTURE(Fixture, "names that are not known yet are to be asked for again") {
  client->known = false;
  CHECK(code_of(ask(kInternal)) == static_cast<int>(Rcode::server_failure));
}

TEST_CASE_FIXTURE(Fixture, "a stranger gets no answer, rubbish is refused") {
  serve({});
  CHECK(ask("no query", 200ms).empty());
  CHECK(code_of(ask(kHeader)) == static_cast<int>(Rcode::refused));
  client = std::nullopt;
  CHECK(ask(kInternal, 200ms).empty());
}
