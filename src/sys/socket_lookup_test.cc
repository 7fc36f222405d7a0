// Every port of whole networks on a few sockets, in a network namespace of the test's own.
#include "sys/socket_lookup.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <unistd.h>

#include <thread>

#include "async/combine.h"
#include "sys/netlink.h"
#include "sys/posix_host.h"

namespace perigee::sys {
namespace {

// As a node has it: networks that are local, a listener and a socket of UDP for each family.
struct Prefixes {
  Prefixes() {
    auto netlink = *Netlink::open();
    REQUIRE(netlink.set_up(1, 0).has_value());
    for (const IpPrefix& prefix : networks) {
      REQUIRE(netlink.add_local_route(prefix.first(), prefix.length()).has_value());
    }
    Fd tcp4 = *listen_socket(*Address::parse("127.0.0.1:0"), 16);
    Fd tcp6 = *listen_socket(*Address::parse("[::1]:0"), 16);
    Fd udp4 = *datagram_socket(*Address::parse("127.0.0.1:0"));
    Fd udp6 = *datagram_socket(*Address::parse("[::1]:0"));
    auto steered = steer(
        networks, {.tcp4 = tcp4.get(), .tcp6 = tcp6.get(), .udp4 = udp4.get(), .udp6 = udp6.get()});
    REQUIRE_MESSAGE(steered.has_value(), steered.error().context);
    link = *std::move(steered);
    listeners.push_back(*host->adopt_listener(std::move(tcp4)));
    listeners.push_back(*host->adopt_listener(std::move(tcp6)));
    sockets.push_back(*host->adopt_datagrams(std::move(udp4)));
    sockets.push_back(*host->adopt_datagrams(std::move(udp6)));
  }
  Network& network() { return host->host().network; }
  Deadline soon() { return host->loop().deadline_in(5s); }
  Result<std::unique_ptr<Stream>> connect(const Address& to) {
    return host->loop().run(network().connect(to, soon()));
  }

  std::vector<IpPrefix> networks{*IpPrefix::parse("203.0.113.0/24"),
                                 *IpPrefix::parse("2001:db8:a::/48")};
  std::unique_ptr<PosixHost> host = *PosixHost::open(1);
  Fd link;
  std::vector<std::unique_ptr<Listener>> listeners;  // IPv4, IPv6
  std::vector<std::unique_ptr<Datagrams>> sockets;
};

template <typename F>
void with_prefixes(F check) {
  bool possible = false;
  std::thread thread([&] {
    possible = ::geteuid() == 0 && ::unshare(CLONE_NEWNET) == 0;
    if (!possible) return;
    if (const auto steering = check_steering(); !steering) {
      MESSAGE("SKIPPED: " << steering.error().context);
      return;
    }
    Prefixes prefixes;
    check(prefixes);
  });
  thread.join();
  if (!possible) MESSAGE("SKIPPED: no network namespace can be made here (needs root)");
}

TEST_CASE("one listener for each family takes connections to every port of its networks") {
  with_prefixes([](Prefixes& p) {
    for (const std::string_view text : {"203.0.113.0:1", "203.0.113.9:443", "203.0.113.255:65535",
                                        "[2001:db8:a:ffff::9]:25", "[2001:db8:a::]:5432"}) {
      const Address to = *Address::parse(text);
      const auto client = p.connect(to);
      REQUIRE_MESSAGE(client.has_value(), client.error().context);
      const auto accepted = p.host->loop().run(p.listeners[to.is_ipv6() ? 1 : 0]->accept());
      REQUIRE(accepted.has_value());
      CHECK((*accepted)->local() == to);
      CHECK((*accepted)->peer() == (*client)->local());
    }
    CHECK_FALSE(p.connect(*Address::parse("127.0.0.2:443")).has_value());
  });
}

TEST_CASE("a datagram comes with the address that it was sent to, and is answered from there") {
  with_prefixes([](Prefixes& p) {
    for (const std::string_view text : {"203.0.113.7:53", "203.0.113.7:5300", "203.0.113.8:53",
                                        "[2001:db8:a::7]:53", "203.0.113.7:53"}) {
      const Address to = *Address::parse(text);
      auto& socket = *p.sockets[to.is_ipv6() ? 1 : 0];
      const Address any = *Address::parse(to.is_ipv6() ? "[::1]:0" : "127.0.0.1:0");
      const auto client = *p.network().open_datagrams(any, Binding::present);
      REQUIRE(client->send("question", to).has_value());
      std::string buffer(100, '\0');
      const auto got = p.host->loop().run(
          async::with_deadline(p.host->loop(), p.soon(), socket.receive(buffer), "question"));
      REQUIRE_MESSAGE(got.has_value(), got.error().context);
      CHECK(got->to == to);
      REQUIRE(socket.send_from(got->to, "answer", got->from).has_value());
      const auto answer = p.host->loop().run(
          async::with_deadline(p.host->loop(), p.soon(), client->receive(buffer), "answer"));
      REQUIRE_MESSAGE(answer.has_value(), answer.error().context);
      CHECK(answer->from == to);
      CHECK(buffer.substr(0, answer->size) == "answer");
    }
  });
}

TEST_CASE("without the link the networks' ports are nobody's") {
  with_prefixes([](Prefixes& p) {
    p.link.reset();
    CHECK_FALSE(p.connect(*Address::parse("203.0.113.9:443")).has_value());
  });
}

}  // namespace
}  // namespace perigee::sys
