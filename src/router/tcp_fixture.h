// What tests of users' TCP connections share: machines that speak TCP, and clients, on real
// loopback sockets.
#pragma once

#include "router/fleet_fixture.h"

namespace perigee::router {

// Echoes with its name before it, and says ":bye" at the client's end. Keeps what it got.
struct TcpMachine {
  TcpMachine(Fixture& fixture, std::string own_name, const std::string& ip)
      : name(std::move(own_name)), connections(fixture.loop()) {
    auto opened = fixture.h().network.listen(*sys::Address::ip(ip, fixture.port));
    REQUIRE_MESSAGE(opened.has_value(), opened.error().context);
    listener = *std::move(opened);
    if (fixture.port == 0) fixture.port = listener->local().port();
    accepting = accept_all(*this);
    accepting.start();
  }
  static async::Task<void> accept_all(TcpMachine& self) {
    for (;;) {
      auto stream = co_await self.listener->accept();
      if (!stream) co_return;
      ++self.accepted;
      self.connections.spawn(serve(self, *std::move(stream)));
    }
  }
  static async::Task<void> serve(TcpMachine& self, std::unique_ptr<sys::Stream> stream) {
    std::vector<char> buffer(100'000);
    for (;;) {
      const auto n = co_await stream->read(buffer);
      if (!n || *n == 0) break;
      self.got.append(buffer.data(), *n);
      const std::string answer = self.name + ":" + std::string(buffer.data(), *n);
      if (!co_await stream->write(answer)) co_return;
    }
    std::ignore = co_await stream->write(":bye");
    std::ignore = stream->shutdown_write();
  }
  std::string name;
  std::unique_ptr<sys::Listener> listener;
  std::string got;
  int accepted = 0;
  async::Task<void> accepting;
  async::TaskGroup connections;
};

struct TcpFixture : Fixture {
  // The app has all ports of 127.0.0.1; the one that the router listens on is this one.
  model::Port& serve(std::vector<model::Handler> handlers) {
    tcp_listeners.push_back(listen());
    users = tcp_listeners[0]->local();
    route.addresses = {"127.0.0.1"};
    route.services = {{.ports = {{.port = users.port(), .handlers = std::move(handlers)}}}};
    return route.services[0].ports[0];
  }
  TcpMachine& start_tcp(const std::string& name, const std::string& ip) {
    tcp_machines.push_back(std::make_unique<TcpMachine>(*this, name, ip));
    target(name, ip);
    return *tcp_machines.back();
  }
  // A certificate for the app; the CA that clients trust.
  std::string certify() {
    const auto ca = *crypto::create_ca("test", h().clock.wall());
    const auto leaf = *crypto::issue(ca, {"hello.test"}, h().clock.wall(), 10);
    route.certificates = {sealed_certificate("hello.test", leaf)};
    return ca.certificate_pem;
  }

  std::unique_ptr<sys::Stream> connect() { return connect_to(users); }
  std::unique_ptr<sys::Stream> connect_to(const sys::Address& to) {
    auto stream = loop().run(h().network.connect(to, soon()));
    REQUIRE_MESSAGE(stream.has_value(), stream.error().context);
    return *std::move(stream);
  }
  void send(sys::Stream& stream, const std::string& text) {
    REQUIRE(loop().run(async::with_deadline(loop(), soon(), stream.write(text), "send")));
  }
  // The next bytes, at least `size`; fewer at the end. "cut": an error.
  std::string receive(sys::Stream& stream, std::size_t size) {
    struct Go {
      static async::Task<Result<std::string>> run(sys::Stream& s, std::size_t least) {
        std::string all;
        std::vector<char> buffer(100'000);
        while (all.size() < least) {
          CO_TRY(const std::size_t n, co_await s.read(buffer));
          if (n == 0) break;
          all.append(buffer.data(), n);
        }
        co_return all;
      }
    };
    return loop()
        .run(async::with_deadline(loop(), soon(), Go::run(stream, size), "receive"))
        .value_or("cut");
  }
  std::string rest(sys::Stream& stream) { return receive(stream, 1'000'000'000); }
  std::string exchange(sys::Stream& stream, const std::string& text, const std::string& expected) {
    send(stream, text);
    return receive(stream, expected.size());
  }
  TcpCounters counters() { return router->state().tcp; }

  sys::Address users;
  std::vector<std::unique_ptr<TcpMachine>> tcp_machines;
};

}  // namespace perigee::router
