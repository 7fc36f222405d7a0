// backhaul-load: what requests between two routers wait for when packets are lost, as a pool of
// HTTP/2 connections has it. tools/bench/backhaul_loss.py runs both ends across a lab's network.
//
//   backhaul-load serve ADDRESS:PORT                     answers /bytes/N by N bytes, until killed
//   backhaul-load ask ADDRESS:PORT CONNECTIONS RATE SECONDS BYTES
//                                                        prints how long each took, a line each
//                                                        (ms)
//
// The client is open loop: a request is due when it is due, and goes to the connection with the
// fewest streams, as backhaul::Peer has it.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "async/combine.h"
#include "async/task_group.h"
#include "base/text.h"
#include "http2/client.h"
#include "http2/server.h"
#include "sys/posix_host.h"

namespace perigee {
namespace {

constexpr std::size_t kMaxUnderWay = 20'000;
constexpr std::size_t kMaxBytes = 64 * 1024 * 1024;
constexpr Duration kConnect = 10s;
constexpr Duration kPatience = 60s;
constexpr Duration kPing = 500ms;

class Bytes : public http::Handler {
 public:
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override {
    const auto count =
        parse_uint(request.head.path().substr(std::string_view("/bytes/").size()), kMaxBytes);
    std::ignore = co_await response.send({.status = 200}, std::string(count.value_or(0), 'x'));
  }
};

async::Task<void> serve_one(sys::Host& host, http::Handler& handler,
                            std::unique_ptr<sys::Stream> stream) {
  http2::ServerConnection connection(host, handler, std::move(stream));
  co_await connection.run();
}

async::Task<Result<void>> serve(sys::Host& host, sys::Address at) {
  CO_TRY(const auto listener, host.network.listen(at));
  Bytes handler;
  async::TaskGroup tasks(host.loop);
  for (;;) {
    CO_TRY(auto stream, co_await listener->accept());
    tasks.spawn(serve_one(host, handler, std::move(stream)));
  }
}

struct Load {
  int connections = 0;
  int rate = 0;  // requests a second
  int seconds = 0;
  std::string path;
};

using Pool = std::vector<std::shared_ptr<http2::Connection>>;

async::Task<void> keep(sys::Host& host, std::shared_ptr<http2::Connection> connection) {
  async::TaskGroup running(host.loop);
  running.spawn(connection->run());
  for (;; co_await host.loop.sleep(kPing)) connection->ping();
}

async::Task<Result<void>> fetch(sys::Host& host, std::shared_ptr<http2::Connection> connection,
                                std::string path) {
  http::RequestHead head{.target = std::move(path)};
  head.headers.set("Host", "bench");
  auto response = co_await http2::forward(std::move(connection), std::move(head), nullptr,
                                          host.loop.deadline_in(kPatience));
  if (!response) co_return fail(std::move(response).error().error);
  CO_TRY([[maybe_unused]] const auto body, co_await http::read_all((*response)->body(), kMaxBytes));
  co_return Result<void>();
}

async::Task<void> sample(sys::Host& host, const Pool& pool, std::string path) {
  const auto best = std::ranges::min_element(
      pool, {}, [](const auto& connection) { return connection->streams(); });
  const MonotonicTime due = host.loop.now();
  const auto done = co_await fetch(host, *best, std::move(path));
  if (done) {
    fmt::print("{:.1f}\n", to_seconds(host.loop.now() - due) * 1000);
  } else {
    fmt::print("failed {}\n", done.error().context);
  }
}

async::Task<Result<void>> ask(sys::Host& host, sys::Address at, Load load) {
  async::TaskGroup connections(host.loop);
  Pool pool;
  for (int i = 0; i < load.connections; ++i) {
    CO_TRY(auto stream, co_await host.network.connect(at, host.loop.deadline_in(kConnect)));
    pool.push_back(
        std::make_shared<http2::Connection>(host.loop, std::move(stream), http2::Role::client));
    connections.spawn(keep(host, pool.back()));
  }
  async::TaskGroup under_way(host.loop, kMaxUnderWay);
  const MonotonicTime start = host.loop.now();
  for (int i = 0; i < load.rate * load.seconds; ++i) {
    co_await host.loop.sleep_until(start + Duration(1s) * i / load.rate);
    if (!under_way.spawn(sample(host, pool, load.path))) fmt::print("failed too many under way\n");
  }
  co_await under_way.drained();
  co_return Result<void>();
}

Result<void> run(const std::vector<std::string>& words) {
  constexpr int kMaxNumber = 1'000'000;
  const bool server = words.size() == 2 && words[0] == "serve";
  if (!server && !(words.size() == 6 && words[0] == "ask")) {
    return fail(Code::invalid_argument, "serve ADDRESS, or ask ADDRESS CONNECTIONS RATE SECONDS N");
  }
  TRY(const sys::Address at, sys::Address::parse(words[1]));
  TRY(const auto host, sys::PosixHost::open(1));
  if (server) return host->loop().run(serve(host->host(), at));
  std::vector<int> numbers;
  for (std::size_t i = 2; i < words.size(); ++i) {
    const auto number = parse_uint(words[i], kMaxNumber);
    if (!number || *number == 0) return fail(Code::invalid_argument, "'{}': no number", words[i]);
    numbers.push_back(static_cast<int>(*number));
  }
  return host->loop().run(ask(host->host(), at,
                              {.connections = numbers[0],
                               .rate = numbers[1],
                               .seconds = numbers[2],
                               .path = "/bytes/" + words[5]}));
}

}  // namespace
}  // namespace perigee

int main(int argc, char** argv) {
  const auto done = perigee::run({argv + 1, argv + argc});
  if (!done) fmt::print(stderr, "backhaul-load: {}\n", done.error().context);
  return done ? 0 : 1;
}
