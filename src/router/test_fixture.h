// What the router's tests share: a feed that the test feeds, machines that the test plays, and a
// client, all on real loopback sockets.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "async/combine.h"
#include "async/task_group.h"
#include "crypto/certificate.h"
#include "crypto/tls.h"
#include "http/client.h"
#include "http/server.h"
#include "http2/client.h"
#include "http2/protocol.h"
#include "model/json.h"
#include "router/router.h"
#include "sys/posix_host.h"

namespace perigee::router {

using http::Request;
using http::ResponseWriter;

// A machine: tells what it got, or misbehaves by path.
class Machine : public http::Handler {
 public:
  Machine(async::Loop& loop, std::string name)
      : release(loop), entered(loop), loop_(loop), name_(std::move(name)) {}
  async::Task<void> handle(Request& request, ResponseWriter& response) override {
    ++requests;
    last = request.head;
    const std::string_view path = request.head.path();
    if (path == "/hold") co_return co_await hold(response);
    if (path == "/half") co_return co_await half(response);
    if (path == "/stream") co_return co_await stream(request, response);
    if (path == "/headers") co_return co_await headers(response);
    if (path == "/socket") co_return co_await socket(response);
    auto body = co_await http::read_all(request.body, 100'000'000);
    if (!body) co_return;
    std::ignore = co_await response.send({.status = 200}, name_ + ":" + *body);
  }
  int requests = 0;
  http::RequestHead last;
  async::Event release;
  async::Event entered;
  bool finished_hold = false;

 private:
  async::Task<void> hold(ResponseWriter& response) {
    entered.set();
    co_await async::first_of(loop_, release.wait(), response.closed());
    finished_hold = true;
    std::ignore = co_await response.send({.status = 200}, name_ + ":held");
  }
  static async::Task<void> half(ResponseWriter& response) {
    http::ResponseHead head;
    head.headers.add("Content-Length", "100");
    std::ignore = co_await response.start(std::move(head));
    std::ignore = co_await response.write("half");
  }
  static async::Task<void> headers(ResponseWriter& response) {
    http::ResponseHead head{.status = 201};
    head.headers.add("Set-Cookie", "a=1");
    head.headers.add("Set-Cookie", "b=2");
    std::ignore = co_await response.send(std::move(head), "h");
  }
  // Changes to a protocol that says who is there, and echoes.
  async::Task<void> socket(ResponseWriter& response) {
    http::Headers fields;
    fields.add("Sec-WebSocket-Accept", "accepted");
    const auto stream = co_await response.switch_protocols("websocket", std::move(fields));
    if (!stream || !co_await (*stream)->write(name_ + ":")) co_return;
    std::array<char, 1000> buffer;
    for (;;) {
      const auto n = co_await (*stream)->read(buffer);
      if (!n || *n == 0) co_return;
      if (!co_await (*stream)->write(std::string_view(buffer.data(), *n))) co_return;
    }
  }
  // Echoes piece by piece, trailers too.
  static async::Task<void> stream(Request& request, ResponseWriter& response) {
    if (!co_await response.start({.status = 200})) co_return;
    std::vector<char> buffer(3000);
    for (;;) {
      const auto n = co_await request.body.read(buffer);
      if (!n) co_return;
      if (*n == 0) break;
      if (!co_await response.write(std::string_view(buffer.data(), *n))) co_return;
    }
    std::ignore = co_await response.finish(request.body.trailers());
  }
  async::Loop& loop_;
  std::string name_;
};

// Control: its routes feed, first its lines, then what the test adds; and the keys it tells.
class Feed : public http::Handler {
 public:
  explicit Feed(async::Loop& loop) : changed_(loop) {}
  async::Task<void> handle(Request& request, ResponseWriter& response) override {
    if (request.head.target == "/internal/v1/keys/certificate-key") {
      [[maybe_unused]] const auto sent = co_await response.send({.status = 200}, keys);
      co_return;
    }
    if (request.head.method == "POST") co_return co_await call(request, response);
    targets.push_back(request.head.target);
    if (!co_await response.start({.status = 200})) co_return;
    for (std::size_t sent = 0;;) {
      for (; sent < lines.size(); ++sent) {
        if (!co_await response.write(lines[sent] + "\n")) co_return;
      }
      co_await changed_.wait();
    }
  }
  void add(std::string line) {
    lines.push_back(std::move(line));
    changed_.notify_all();
  }
  std::vector<std::string> lines;
  std::vector<std::string> targets;
  std::string keys = "{}";
  std::vector<std::string> wakes;         // the calls' targets
  std::function<void()> on_wake = [] {};  // what control does about one
  int wake_status = 200;
  json::Value loads;  // as last reported

 private:
  async::Task<void> call(Request& request, ResponseWriter& response) {
    const auto body = co_await http::read_all(request.body, 100'000);
    if (request.head.path().ends_with("/wake")) {
      wakes.push_back(request.head.target);
      on_wake();
      std::ignore = co_await response.send({.status = wake_status}, R"({"error":"no room"})");
      co_return;
    }
    if (body) loads = json::parse(*body).value_or(json::Value());
    std::ignore = co_await response.send({.status = 204}, {});
  }
  async::Notify changed_;
};

struct Reply {
  int status = 0;
  std::string body{};
  http::Headers headers{};
  std::string header(std::string_view name) const {
    const std::string_view* value = headers.find(name);
    return std::string(value == nullptr ? "" : *value);
  }
};

struct Fixture {
  Fixture() {
    std::string pattern = "/tmp/perigee-router-XXXXXX";
    directory = ::mkdtemp(pattern.data());
    control = *sys::Address::unix_path(directory + "/control.sock");
  }
  ~Fixture() {
    router.reset();
    finish_writes();
    std::error_code ignored;  // the access log may be written once more
    std::filesystem::remove_all(directory, ignored);
  }
  // What routers that are gone have left to the pool's one thread.
  void finish_writes() {
    std::ignore = loop().run(h().pool.run(loop(), [] { return 0; }));
  }
  async::Loop& loop() { return posix->loop(); }
  sys::Host& h() { return posix->host(); }
  Deadline soon() { return loop().deadline_in(10s); }
  std::unique_ptr<sys::Listener> listen() {
    return *h().network.listen(*sys::Address::parse("127.0.0.1:0"));
  }

  void start_control() {
    feed_server = std::make_unique<http::Server>(h(), feed, http::ServerLimits{});
    tasks.spawn(feed_server->serve(*h().network.listen(control)));
  }
  model::RouteCertificate sealed_certificate(const std::string& host_name,
                                             const crypto::KeyPair& pair) {
    const secrets::Place place{secrets::Kind::certificate_key, host_name};
    return {.hosts = {host_name},
            .chain_pem = pair.certificate_pem,
            .private_key = *ring.seal(place, pair.private_key_pem, h().entropy)};
  }
  secrets::KindKeys keys() const { return ring.keys_of(secrets::Kind::certificate_key); }
  void start_router() {
    router = std::make_unique<Router>(h(), Config{.node = NodeId("n1"),
                                                  .domain = "test",
                                                  .control = control,
                                                  .certificate_keys = keys(),
                                                  .snapshot_path = directory + "/routes.json",
                                                  .access_log = directory + "/access.log",
                                                  .reach_bound = reach_bound,
                                                  .queue_bound = queue_bound,
                                                  .proxy_from = proxy_from,
                                                  .connections_per_client = connections_per_client,
                                                  .tcp_idle = tcp_idle});
    Listeners listeners;
    listeners.tcp = std::move(tcp_listeners);
    listeners.http.push_back(listen());
    listeners.https.push_back(listen());
    http_address = listeners.http[0]->local();
    https_address = listeners.https[0]->local();
    status_address = *sys::Address::unix_path(directory + "/router.sock");
    listeners.status = *h().network.listen(status_address);
    tasks.spawn(router->run(std::move(listeners)));
  }
  Machine& start_machine(const std::string& name, const std::string& ip) {
    machines.push_back(std::make_unique<Machine>(loop(), name));
    start_app(*machines.back(), ip);
    return *machines.back();
  }
  // All of the machines listen on one port, each on an address of its own, and speak what the
  // router chooses to speak.
  void start_app(http::Handler& app, const std::string& ip) {
    servers.push_back(std::make_unique<http::Server>(h(), app, http::ServerLimits{}, &http2));
    auto listener = h().network.listen(*sys::Address::ip(ip, port));
    REQUIRE_MESSAGE(listener.has_value(), listener.error().context);
    if (port == 0) port = (*listener)->local().port();
    tasks.spawn(servers.back()->serve(*std::move(listener)));
  }
  void target(const std::string& name, const std::string& ip,
              model::MachineState state = model::MachineState::started, bool listening = true) {
    route.targets.push_back({.machine = MachineId(name),
                             .instance_id = "i",
                             .region = RegionCode("loc"),
                             .node = NodeId("n1"),
                             .address = ip,
                             .state = state,
                             .listening = listening});
  }
  // Its only target from now on, in another state.
  void turn(model::MachineState state, bool wakeable) {
    route.targets[0].state = state;
    route.targets[0].listening = state == model::MachineState::started;
    route.targets[0].wakeable = wakeable;
    feed.add(route_line(++last_revision));
  }
  std::string route_line(int revision) {
    route.app = AppName("hello");
    if (route.hosts.empty()) route.hosts = {"hello.test"};
    if (route.services.empty()) {
      model::Service service;
      service.ports = {{.port = 80, .handlers = {model::Handler::http}},
                       {.port = 443, .handlers = {model::Handler::tls, model::Handler::http}}};
      for (model::Port& each : service.ports) {
        each.http_options = http_options;
        each.http_options.h2_backend = h2_backend;
      }
      route.services = {service};
    }
    route.services[0].internal_port = port;
    return json::object(
               {{"revision", revision}, {"key", "/routes/hello"}, {"value", model::to_json(route)}})
        .dump();
  }
  void publish(int revision = 1) {
    feed.add(R"({"version":1,"epoch":"e","revision":1,"snapshot":true})");
    feed.add(route_line(revision));
    feed.add(R"({"revision":1,"synced":true})");
  }
  // The usual: control, router, the routes known to the router.
  void start_all() {
    publish();
    start_control();
    start_router();
    wait_for_routes();
  }
  void wait_for_routes() {
    for (int i = 0; i < 500 && router->state().table->apps().empty(); ++i) sleep(10ms);
    REQUIRE_FALSE(router->state().table->apps().empty());
  }
  void sleep(Duration time) {
    struct Go {
      static async::Task<void> run(async::Loop& loop, Duration t) { co_await loop.sleep(t); }
    };
    loop().run(Go::run(loop(), time));
  }

  async::Task<Result<Reply>> ask(sys::Address to, http::RequestHead head, std::string body) {
    if (head.headers.find("host") == nullptr) head.headers.add("Host", "hello.test:8080");
    CO_TRY(auto response, co_await client.request(to, std::move(head), std::move(body), soon()));
    CO_TRY(std::string text, co_await http::read_all(response->body(), 100'000'000));
    co_return Reply{response->head.status, std::move(text), response->head.headers};
  }
  Reply get(const std::string& target = "/") {
    auto reply = loop().run(ask(http_address, {.method = "GET", .target = target}, {}));
    REQUIRE_MESSAGE(reply.has_value(), reply.error().context);
    return *std::move(reply);
  }
  Reply get_host(const std::string& host) {
    http::RequestHead head;
    head.headers.add("Host", host);
    auto reply = loop().run(ask(http_address, std::move(head), {}));
    REQUIRE(reply.has_value());
    return *std::move(reply);
  }
  // Raw bytes there, everything back until the router closes.
  enum class Ends { no, yes };  // our side, behind the bytes
  std::string talk(const std::string& bytes, Ends ends = Ends::no) {
    struct Go {
      static async::Task<Result<std::string>> run(Fixture& f, std::string text, Ends end) {
        CO_TRY(auto stream, co_await f.h().network.connect(f.http_address, f.soon()));
        CO_TRY_VOID(co_await stream->write(text));
        if (end == Ends::yes) CO_TRY_VOID(stream->shutdown_write());
        std::string all;
        std::array<char, 4096> buffer;
        for (;;) {
          CO_TRY(const std::size_t n, co_await stream->read(buffer));
          if (n == 0) co_return all;
          all.append(buffer.data(), n);
        }
      }
    };
    auto answer =
        loop().run(async::with_deadline(loop(), soon(), Go::run(*this, bytes, ends), "talk"));
    REQUIRE_MESSAGE(answer.has_value(), answer.error().context);
    return *answer;
  }
  json::Value status() {
    auto reply = loop().run(ask(status_address, {.target = "/internal/v1/status"}, {}));
    REQUIRE(reply.has_value());
    REQUIRE(reply->status == 200);
    return *json::parse(reply->body);
  }

  std::unique_ptr<sys::PosixHost> posix = *sys::PosixHost::open(1);
  std::string directory;
  sys::Address control;
  sys::Address http_address;
  sys::Address https_address;
  sys::Address status_address;
  std::uint16_t port = 0;
  int last_revision = 1;  // that was told
  Duration reach_bound = kReachBound;
  Duration queue_bound = kQueueBound;
  bool h2_backend = false;  // of the app
  model::HttpOptions http_options;
  std::vector<std::unique_ptr<sys::Listener>> tcp_listeners;
  std::vector<sys::IpPrefix> proxy_from;
  std::size_t connections_per_client = kMaxHttpPerClient;
  Duration tcp_idle = kTcpIdle;
  model::AppRoute route;
  secrets::KeyRing ring = secrets::KeyRing::create(h().entropy, {});
  Feed feed{loop()};
  http::Client client{h(), {}};
  http2::Refusals refusals;  // by the machines
  http2::Protocol http2{refusals};
  std::vector<std::unique_ptr<Machine>> machines;
  std::vector<std::unique_ptr<http::Server>> servers;
  std::unique_ptr<http::Server> feed_server;
  std::unique_ptr<Router> router;
  async::TaskGroup tasks{loop()};
};

}  // namespace perigee::router
