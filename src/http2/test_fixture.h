// What the tests of http2 share: a server and a client on two nodes of a simulation, a handler that
// misbehaves by path, and bodies that are made up or counted as they stream.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "async/combine.h"
#include "async/task_group.h"
#include "http2/client.h"
#include "http2/server.h"
#include "sim/simulation.h"

namespace perigee::http2 {

// `size` bytes that are never all in memory; says how many were taken.
class MadeBody : public http::Body {
 public:
  explicit MadeBody(std::uint64_t size, std::optional<Error> at_end = std::nullopt)
      : size_(size), at_end_(std::move(at_end)) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    const std::size_t count = std::min<std::uint64_t>(into.size(), size_ - taken);
    if (count == 0 && at_end_) co_return fail(*at_end_);
    std::ranges::fill(into.first(count), 'x');
    taken += count;
    co_return count;
  }
  std::optional<std::uint64_t> length() const override {
    return at_end_ || !length_known ? std::nullopt : std::optional(size_);
  }
  http::Headers trailers() const override { return after; }
  std::uint64_t taken = 0;
  bool length_known = true;
  http::Headers after{};

 private:
  std::uint64_t size_;
  std::optional<Error> at_end_;
};

inline async::Task<Result<std::uint64_t>> count_all(http::Body& body) {
  std::vector<char> buffer(64 * 1024);
  std::uint64_t total = 0;
  for (;;) {
    CO_TRY(const std::size_t count, co_await body.read(buffer));
    if (count == 0) co_return total;
    total += count;
  }
}

// Answers by path: /hold waits, /bytes/N sends N bytes, /echo sends back as it comes, /half stops
// halfway, /early does not read the body, /none says nothing; others tell what they got.
class TestHandler : public http::Handler {
 public:
  explicit TestHandler(async::Loop& loop) : release(loop), loop_(loop) {}
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override {
    ++requests;
    last = request.head;
    const std::string_view path = request.head.path();
    if (path == "/hold") co_return co_await hold(response);
    if (path.starts_with("/bytes/")) co_return co_await bytes(path.substr(7), response);
    if (path == "/echo") co_return co_await echo(request, response);
    if (path == "/half") co_return co_await half(response);
    if (path == "/none") co_return;
    if (path == "/socket") co_return co_await socket(response);
    if (path == "/early") {
      std::ignore = co_await response.send({.status = 413}, "too large");
      co_return;
    }
    const auto size = co_await count_all(request.body);
    if (!size) co_return;
    received = *size;
    std::ignore = co_await response.send({.status = 200}, std::to_string(*size));
  }
  int requests = 0;
  int cancelled = 0;
  std::uint64_t received = 0;
  http::RequestHead last;
  async::Event release;

 private:
  async::Task<void> hold(http::ResponseWriter& response) {
    co_await async::first_of(loop_, release.wait(), response.closed());
    if (!release.is_set()) ++cancelled;
    std::ignore = co_await response.send({.status = 200}, "held");
  }
  static async::Task<void> bytes(std::string_view count, http::ResponseWriter& response) {
    MadeBody body(parse(count));
    http::ResponseHead head{.status = 200};
    head.headers.add("Content-Length", std::to_string(*body.length()));
    if (!co_await response.start(std::move(head))) co_return;
    co_await pass(body, response);
  }
  static async::Task<void> echo(http::Request& request, http::ResponseWriter& response) {
    if (!co_await response.start({.status = 200})) co_return;
    co_await pass(request.body, response);
  }
  async::Task<void> half(http::ResponseWriter& response) {
    std::ignore = co_await response.start({.status = 200});
    std::ignore = co_await response.write("half");
    co_await loop_.sleep(100ms);
  }
  // Another protocol, which echoes.
  static async::Task<void> socket(http::ResponseWriter& response) {
    const auto stream = co_await response.switch_protocols("websocket");
    if (!stream) co_return;
    std::array<char, 1000> buffer;
    for (;;) {
      const auto count = co_await (*stream)->read(buffer);
      if (!count) co_return;
      if (*count == 0) break;
      if (!co_await (*stream)->write({buffer.data(), *count})) co_return;
    }
    std::ignore = (*stream)->shutdown_write();
  }
  // Its trailers too.
  static async::Task<void> pass(http::Body& body, http::ResponseWriter& response) {
    std::vector<char> buffer(64 * 1024);
    for (;;) {
      const auto count = co_await body.read(buffer);
      if (!count) co_return;
      if (*count == 0) break;
      if (!co_await response.write({buffer.data(), *count})) co_return;
    }
    std::ignore = co_await response.finish(body.trailers());
  }
  static std::uint64_t parse(std::string_view text) { return std::stoull(std::string(text)); }
  async::Loop& loop_;
};

struct Reply {
  int status = 0;
  std::string body{};
  http::Headers headers{};
};

// Two nodes, a link between them, one connection over it.
struct SimPair {
  explicit SimPair(sim::Link link = {}) {
    simulation.network().set_link(0, 1, link);
    simulation.run(connect(*this));
  }
  ~SimPair() {
    tasks.cancel_all();
    stop_server();
  }
  static async::Task<void> connect(SimPair& self) {
    const auto at = *sys::Address::ip(sim::SimNetwork::address_of(1), 4282);
    auto listener = self.server_node->host().network.listen(at);
    auto stream =
        co_await self.client_node->host().network.connect(at, self.loop().deadline_in(10s));
    REQUIRE(stream.has_value());
    auto accepted = co_await (*listener)->accept();
    self.server = std::make_unique<ServerConnection>(
        self.context, http::Accepted{.stream = *std::move(accepted)}, Counterpart::router);
    self.serving.spawn(self.server->run());
    self.client = std::make_shared<Connection>(self.loop(), *std::move(stream), Role::client);
    self.tasks.spawn(self.client->run());
  }
  void stop_server() {
    serving.cancel_all();
    server.reset();
  }
  async::Loop& loop() { return simulation.loop(); }
  Deadline soon() { return loop().deadline_in(30s); }

  Forwarded forward(const std::string& path, http::Body* body = nullptr,
                    std::string method = "GET") {
    return simulation.run(http2::forward(client, request(path, std::move(method)), body, soon()));
  }
  static http::RequestHead request(const std::string& path, std::string method = "GET") {
    http::RequestHead head{.method = std::move(method), .target = path};
    head.headers.add("Host", "app.test");
    return head;
  }
  Reply ask(const std::string& path, http::Body* body = nullptr, std::string method = "GET") {
    auto response = forward(path, body, std::move(method));
    REQUIRE_MESSAGE(response.has_value(), response.error().error.context);
    auto text = simulation.run(http::read_all((*response)->body(), 100'000'000));
    REQUIRE_MESSAGE(text.has_value(), text.error().context);
    return {(*response)->head.status, *std::move(text), (*response)->head.headers};
  }

  sim::Simulation simulation{1};
  sim::Node* client_node = &simulation.add_node("client");
  sim::Node* server_node = &simulation.add_node("server");
  TestHandler handler{simulation.loop()};
  http::ServerContext context{server_node->host(), handler, {}};
  std::unique_ptr<ServerConnection> server;
  std::shared_ptr<Connection> client;
  async::TaskGroup serving{simulation.loop()};
  async::TaskGroup tasks{simulation.loop()};
};

}  // namespace perigee::http2
