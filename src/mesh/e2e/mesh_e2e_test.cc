// The mesh with real devices: the kernel's WireGuard where there is one, else wireguard-go.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "fixture.h"
#include "sys/netlink.h"
#include "sys/procfs.h"

using namespace perigee;
using namespace perigee::mesh;
using namespace perigee::mesh::e2e;

namespace {

constexpr std::uint16_t kPort = 9000;
constexpr std::string_view kApplyOnly = "--apply-only";
constexpr int kIpv6Header = 40;
constexpr int kUdpHeader = 8;
constexpr int kFullDatagram = kDefaultMtu - kIpv6Header - kUdpHeader;

// Two nodes with a cable between them.
struct Pair {
  Folder folder;
  Namespace left;
  Namespace right;
  std::unique_ptr<Node> a;
  std::unique_ptr<Node> b;

  Pair() {
    connect(left, "wire", "10.9.1.1/24", right, "wire", "10.9.1.2/24");
    a = std::make_unique<Node>(left, folder.path(), 1);
    b = std::make_unique<Node>(right, folder.path(), 2);
    a->apply({b_as_peer()});
    b->apply({a_as_peer()});
    REQUIRE(a->wait_for_contact(2));
    REQUIRE(b->wait_for_contact(1));
  }
  MeshPeer a_as_peer() const { return a->as_peer("10.9.1.1:51820"); }
  MeshPeer b_as_peer() const { return b->as_peer("10.9.1.2:51820"); }
};

int send_length(const sys::Fd& socket, int length) {
  const std::string data(static_cast<std::size_t>(length), 'd');
  const ssize_t n = ::send(socket.get(), data.data(), data.size(), 0);
  return n < 0 ? -errno : static_cast<int>(n);
}

int path_mtu(const sys::Fd& socket) {
  int mtu = 0;
  socklen_t size = sizeof mtu;
  ::getsockopt(socket.get(), IPPROTO_IPV6, IPV6_MTU, &mtu, &size);
  return mtu;
}

int pending_error(const sys::Fd& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

bool holds(const std::string& capture, std::string_view text) {
  return capture.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("two nodes reach each other, and nothing of it crosses the wire in the clear") {
  Pair pair;
  Capture wire(pair.left, "wire");
  const EchoServer server(pair.right, pair.b->address(), kPort);
  const std::string secret = "for the eyes of the other node alone";
  std::string megabyte;
  while (megabyte.size() < 1 << 20) megabyte += secret;
  CHECK(exchange(pair.left, pair.b->address(), kPort, megabyte));
  const std::string seen = wire.take();
  CHECK(seen.size() > 2 * megabyte.size());
  CHECK_FALSE(holds(seen, secret));

  // The capture would have seen it: on the wire itself the same text is readable.
  const EchoServer bare(pair.right, "::ffff:10.9.1.2", kPort);
  CHECK(exchange(pair.left, "::ffff:10.9.1.2", kPort, secret));
  CHECK(holds(wire.take(), secret));
  CHECK(pair.a->peer(2).endpoint == "10.9.1.2:51820");
  CHECK(pair.a->peer(2).sent_bytes > megabyte.size());
}

TEST_CASE("the largest datagram passes whole, and a sender of a larger one is told the MTU") {
  Pair pair;
  const sys::Fd receiver = udp_receiver(pair.right, pair.b->address(), kPort);
  const sys::Fd sender = udp_socket(pair.left, pair.a->address(), pair.b->address(), kPort);
  CHECK(send_length(sender, kFullDatagram) == kFullDatagram);
  CHECK(receive_length(receiver) == kFullDatagram);
  CHECK(send_length(sender, kFullDatagram + 1) == -EMSGSIZE);

  // A machine behind the first node, on an Ethernet of 1500 bytes, learns it by ICMPv6.
  const Namespace machine;
  const std::string gateway = fleet().machine_address(*NodeIndex::make(1), 0, 1);
  const std::string own = fleet().machine_address(*NodeIndex::make(1), 7, 2);
  connect(pair.left, "pg-tap", "10.9.2.1/24", machine, "eth0", "10.9.2.2/24");
  pair.left.command("sysctl -qw net.ipv6.conf.all.forwarding=1");
  pair.left.command(fmt::format("ip addr add {}/128 dev pg-tap nodad", gateway));
  pair.left.command(fmt::format("ip route add {}/128 dev pg-tap", own));
  machine.command(fmt::format("ip addr add {}/128 dev eth0 nodad", own));
  machine.command(fmt::format("ip route add {}/128 dev eth0", gateway));
  machine.command(fmt::format("ip route add default via {}", gateway));
  const sys::Fd behind = udp_socket(machine, own, pair.b->address(), kPort);
  CHECK(path_mtu(behind) == 1500);
  CHECK(send_length(behind, kFullDatagram + 1) == kFullDatagram + 1);  // dropped on the way
  for (int i = 0; i < 100 && path_mtu(behind) != kDefaultMtu; ++i) ::usleep(20'000);
  CHECK(path_mtu(behind) == kDefaultMtu);
  CHECK(pending_error(behind) == EMSGSIZE);  // of the datagram before
  CHECK(send_length(behind, kFullDatagram) == kFullDatagram);
  CHECK(receive_length(receiver) == kFullDatagram);
}

TEST_CASE("a node sends only from its own addresses: another's are dropped") {
  Pair pair;
  const sys::Fd receiver = udp_receiver(pair.right, pair.b->address(), kPort);
  const std::string forged = fleet().machine_address(*NodeIndex::make(3), 7, 2);
  pair.left.command(fmt::format("ip addr add {}/128 dev wire nodad", forged));
  const sys::Fd liar = udp_socket(pair.left, forged, pair.b->address(), kPort);
  CHECK(send_length(liar, 11) == 11);
  const sys::Fd honest = udp_socket(pair.left, pair.a->address(), pair.b->address(), kPort);
  CHECK(send_length(honest, 22) == 22);
  CHECK(receive_length(receiver) == 22);
}

TEST_CASE("a neighbour on the wire is nobody of the fleet") {
  Pair pair;
  const Namespace stranger;
  connect(pair.right, "side", "10.9.3.1/24", stranger, "eth0", "10.9.3.2/24");
  constexpr std::string_view kMac = "02:00:00:00:00:09";
  pair.right.command(fmt::format("ip link set side address {}", kMac));
  stranger.command(fmt::format("ip addr add {}/128 dev eth0 nodad", pair.a->address()));
  stranger.command(fmt::format("ip route add {}/128 dev eth0", pair.b->address()));
  stranger.command(fmt::format("ip neigh add {} lladdr {} dev eth0", pair.b->address(), kMac));
  const sys::Fd receiver = udp_receiver(pair.right, pair.b->address(), kPort);
  const sys::Fd liar = udp_socket(stranger, pair.a->address(), pair.b->address(), kPort);
  CHECK(send_length(liar, 11) == 11);
  const sys::Fd honest = udp_socket(pair.left, pair.a->address(), pair.b->address(), kPort);
  CHECK(send_length(honest, 22) == 22);
  CHECK(receive_length(receiver) == 22);

  // It is the guard that keeps it away.
  pair.right.command("nft flush ruleset");
  CHECK(send_length(liar, 33) == 33);
  CHECK(receive_length(receiver) == 33);
}

TEST_CASE("a node that joins leaves the others' sessions alone; one that leaves is forgotten") {
  Pair pair;
  const Namespace third;
  connect(pair.left, "wire3", "10.9.3.1/24", third, "wire", "10.9.3.2/24");
  Node c(third, pair.folder.path(), 3);
  const PeerStatus before = pair.a->peer(2);
  const pid_t process = pair.a->process();
  pair.a->apply({pair.b_as_peer(), c.as_peer("10.9.3.2:51820")});
  c.apply({pair.a->as_peer("10.9.3.1:51820")});
  REQUIRE(pair.a->wait_for_contact(3));
  const PeerStatus after = pair.a->peer(2);
  CHECK(after.last_handshake == before.last_handshake);
  CHECK(after.sent_bytes >= before.sent_bytes);
  CHECK(after.received_bytes >= before.received_bytes);
  CHECK(pair.a->process() == process);

  pair.a->apply({pair.b_as_peer()});
  CHECK(pair.a->status().peers.size() == 1);
  const sys::Fd lost = udp_socket(pair.left, pair.a->address(), c.address(), kPort);
  const sys::Fd receiver = udp_receiver(third, c.address(), kPort);
  send_length(lost, 10);
  const timeval soon{.tv_sec = 0, .tv_usec = 300'000};
  ::setsockopt(receiver.get(), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
  CHECK(receive_length(receiver) == -1);
}

TEST_CASE("a node behind NAT is reached, by the address that its keepalives come from") {
  const Folder folder;
  const Namespace inside;
  const Namespace router;
  const Namespace outside;
  connect(inside, "wire", "10.9.4.2/24", router, "lan", "10.9.4.1/24");
  connect(router, "wan", "203.0.113.1/24", outside, "wire", "203.0.113.2/24");
  inside.command("ip route add default via 10.9.4.1");
  router.command("sysctl -qw net.ipv4.ip_forward=1");
  router.command(
      "nft 'add table ip nat; add chain ip nat out { type nat hook postrouting priority srcnat; }; "
      "add rule ip nat out oifname wan masquerade random'");
  Node a(inside, folder.path(), 1);
  Node b(outside, folder.path(), 2);
  b.apply({a.as_peer("")});
  CHECK(b.peer(1).endpoint.empty());
  a.apply({b.as_peer("203.0.113.2:51820")});
  REQUIRE(b.wait_for_contact(1));
  CHECK(b.peer(1).endpoint.starts_with("203.0.113.1:"));
  const EchoServer server(inside, a.address(), kPort);
  CHECK(exchange(outside, a.address(), kPort, "from outside"));
  b.apply({a.as_peer("")});  // what it has learned stays
  CHECK(exchange(outside, a.address(), kPort, "from outside, again"));
}

TEST_CASE("a node changes its key under traffic, and no request fails") {
  Pair pair;
  const EchoServer server(pair.right, pair.b->address(), kPort);
  std::atomic<bool> stop = false;
  std::atomic<int> done = 0;
  std::atomic<int> failed = 0;
  std::atomic<std::int64_t> longest_ms = 0;
  std::thread client([&] {
    while (!stop) {
      const auto start = std::chrono::steady_clock::now();
      (exchange(pair.left, pair.b->address(), kPort, "a request") ? done : failed)++;
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - start);
      longest_ms = std::max<std::int64_t>(longest_ms, took.count());
    }
  });
  const PrivateKey next = *PrivateKey::from_raw(std::string(32, 'n'));
  MeshPeer announced = pair.a_as_peer();
  announced.next_key = next.public_key();
  pair.b->apply({announced});
  pair.a->change_key(next);
  pair.a->apply({pair.b_as_peer()});
  std::this_thread::sleep_for(1s);  // by its record the node still has the old key
  pair.b->apply({pair.a_as_peer()});
  const int at_the_switch = done;
  std::this_thread::sleep_for(500ms);
  stop = true;
  client.join();
  MESSAGE(done.load() << " requests, the longest took " << longest_ms.load() << " ms");
  CHECK(failed == 0);
  CHECK(at_the_switch > 0);
  CHECK(done > at_the_switch);
  CHECK(longest_ms < 5000);
  CHECK(pair.b->status().peers.size() == 1);
  CHECK(pair.b->peer(1).connected);
}

namespace {

// This program again, as a keeper that is killed within apply(); its pid.
pid_t start_keeper(const Namespace& network, const std::string& folder) {
  pid_t pid = -1;
  network.within([&] {
    pid = ::fork();
    if (pid == 0) {
      ::execl("/proc/self/exe", "mesh_e2e", kApplyOnly.data(), folder.c_str(), nullptr);
      ::_exit(127);
    }
  });
  REQUIRE(pid > 0);
  return pid;
}

DeviceOptions options_in(const std::string& folder) {
  return {.interface = interface_name(folder), .log = folder + "/killed.log"};
}

MeshConfig config_of_killed() {
  const PublicKey peer = PrivateKey::from_raw(std::string(32, 'p'))->public_key();
  return config_of(5, *PrivateKey::from_raw(std::string(32, 'k')),
                   {{.node = NodeId("node-6"),
                     .index = *NodeIndex::make(6),
                     .key = peer,
                     .endpoint = *sys::Address::parse("10.9.1.2:51820")}});
}

int apply_only(const std::string& folder) {
  const auto host = *sys::PosixHost::open(1);
  Keeper keeper(host->host(), options_in(folder));
  const auto done = host->loop().run(keeper.apply(config_of_killed()));
  if (!done) std::fprintf(stderr, "%s\n", done.error().context.c_str());
  return done ? 0 : 1;
}

}  // namespace

TEST_CASE("a keeper killed at any moment is followed by one that adopts or mends what it left") {
  const Folder folder;
  const Namespace network;
  const auto host = *sys::PosixHost::open(1);
  const std::string interface = options_in(folder.path()).interface;
  for (const int delay_ms : {1, 5, 10, 20, 40, 80, 160}) {
    const pid_t pid = start_keeper(network, folder.path());
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  int status = -1;
  ::waitpid(start_keeper(network, folder.path()), &status, 0);
  CHECK(status == 0);
  network.within([&] {
    Keeper keeper(host->host(), options_in(folder.path()));
    const auto process = sys::find_process("wireguard-go", interface);
    CHECK(host->loop().run(keeper.apply(config_of_killed())).has_value());
    CHECK(sys::find_process("wireguard-go", interface) == process);  // adopted
    auto netlink = sys::Netlink::open();
    const int index = netlink->link_index(interface).value();
    CHECK(netlink->addresses(index).value() ==
          std::vector<sys::LinkNetwork>{{"fd12:3456:789a::5", 128}});
    CHECK(netlink->routes(index).value() ==
          std::vector<sys::LinkNetwork>{{"fd12:3456:789a::", 48}});
    CHECK(host->loop().run(keeper.status())->peers.size() == 1);

    // wireguard-go itself is killed: it is started again, and all settings are back.
    if (process) {
      ::kill(*process, SIGKILL);
      CHECK(host->loop().run(keeper.apply(config_of_killed())).has_value());
      CHECK(host->loop().run(keeper.status())->address == "fd12:3456:789a::5");
      CHECK(sys::find_process("wireguard-go", interface) != process);
    }
    CHECK(host->loop().run(keeper.leave()).has_value());
    CHECK_FALSE(netlink->link_index(interface).has_value());
    CHECK_FALSE(sys::find_process("wireguard-go", interface).has_value());
    CHECK(host->loop().run(keeper.leave()).has_value());  // again is fine
  });
}

int main(int argc, char** argv) {
  if (argc == 3 && argv[1] == kApplyOnly) return apply_only(argv[2]);
  const std::string why = obstacle();
  if (!why.empty()) {
    std::printf("skipped: %s\n", why.c_str());
    return 77;
  }
  doctest::Context context(argc, argv);
  return context.run();
}
