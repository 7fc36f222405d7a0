// Machines' private addresses with the real firewall and a real mesh between two hosts, each a
// network namespace; a machine is a namespace at the end of a cable that stands for its tap.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "async/combine.h"
#include "dns/server.h"
#include "mesh/address_plan.h"
#include "mesh/e2e/fixture.h"
#include "vm/firewall.h"

using namespace perigee;
using namespace perigee::mesh;
using namespace perigee::mesh::e2e;

namespace {

constexpr std::uint16_t kPort = 9000;
constexpr std::uint32_t kTapGroup = 43;
constexpr std::uint32_t kGateway = 0x0ac90001;
constexpr std::uint32_t kWeb = 0x01020304;  // numbers of two apps
constexpr std::uint32_t kDb = 0x01020305;
constexpr const char* kGateway4 = "10.201.0.1";
constexpr const char* kTapMac = "06:70:67:00:00:01";

// A machine: a namespace whose eth0 is the other end of `tap` on its host.
class Guest {
 public:
  Guest(const Namespace& host, int node, std::uint32_t app, int number)
      : network_(fleet(), *NodeIndex::make(node), app), number_(number) {
    host.command(
        fmt::format("ip link add {0} group {1} address {2} type veth peer name eth0 "
                    "address {3} netns {4}",
                    tap(), kTapGroup, kTapMac, mac(), inside_.path()));
    host.command(fmt::format("ip link set {} up mtu {}", tap(), kDefaultMtu));
    host.command(fmt::format("ip addr add {}/128 dev {} nodad", gateway(), tap()));
    host.command(fmt::format("ip route add {}/128 dev {}", address(), tap()));
    host.command(fmt::format("ip neigh add {} lladdr {} dev {}", address(), mac(), tap()));
    host.command(fmt::format("ip addr add {}/32 dev {}", kGateway4, tap()));
    host.command(fmt::format("ip route add {}/32 dev {} src {}", address4(), tap(), kGateway4));
    host.command(fmt::format("ip neigh add {} lladdr {} dev {}", address4(), mac(), tap()));
    inside_.command(fmt::format("ip link set eth0 up mtu {}", kDefaultMtu));
    inside_.command(fmt::format("ip addr add {}/128 dev eth0 nodad", address()));
    inside_.command(fmt::format("ip route add {}/128 dev eth0", gateway()));
    inside_.command(fmt::format("ip route add default via {} src {}", gateway(), address()));
    inside_.command(fmt::format("ip neigh add {} lladdr {} dev eth0", gateway(), kTapMac));
    inside_.command(fmt::format("ip addr add {}/32 dev eth0", address4()));
    inside_.command(fmt::format("ip route add {}/32 dev eth0 src {}", kGateway4, address4()));
    inside_.command(fmt::format("ip neigh add {} lladdr {} dev eth0", kGateway4, kTapMac));
  }

  const Namespace& inside() const { return inside_; }
  std::string tap() const { return fmt::format("pg-{}", number_); }
  std::string mac() const { return fmt::format("02:00:00:00:00:0{}", number_); }
  std::string address() const {
    return network_.machine(kGateway + static_cast<unsigned>(number_));
  }
  std::string address4() const { return fmt::format("10.201.0.{}", number_ + 1); }
  std::string gateway() const { return network_.gateway(kGateway); }
  vm::FirewallMachine for_firewall(const std::string& app) const {
    const AppMatch match = network_.match();
    return {.app = app,
            .tap = tap(),
            .mac = mac(),
            .address = address4(),
            .address6 = address(),
            .fleet = vm::FleetMatch{match.mask, match.value}};
  }

 private:
  Namespace inside_;
  AppNetwork network_;
  int number_;
};

void raise_firewall(const Namespace& host, const Node& node,
                    std::vector<vm::FirewallMachine> machines) {
  const vm::FirewallSettings settings{.table = fmt::format("perigee_e2e_{}", node.index()),
                                      .tap_group = kTapGroup,
                                      .network = "10.201.0.0/16",
                                      .network6 = "fd00:1::/64",
                                      .gateway = kGateway4,
                                      .mesh = node.interface(),
                                      .resolver = kGateway4};
  host.command("sysctl -qw net.ipv6.conf.all.forwarding=1");
  const auto posix = *sys::PosixHost::open(1);
  host.within([&] {
    const auto raised =
        posix->loop().run(vm::load_firewall(posix->host(), settings, std::move(machines)));
    if (!raised) FAIL(raised.error().context);
  });
}

// Two hosts of a fleet: web runs on both, db on the second.
struct Hosts {
  Folder folder;
  Namespace left;
  Namespace right;
  std::unique_ptr<Node> a;
  std::unique_ptr<Node> b;
  Guest web_here{left, 1, kWeb, 2};
  Guest db_here{left, 1, kDb, 3};
  Guest web_there{right, 2, kWeb, 4};
  Guest db_there{right, 2, kDb, 5};

  Hosts() {
    connect(left, "wire", "10.9.1.1/24", right, "wire", "10.9.1.2/24");
    a = std::make_unique<Node>(left, folder.path(), 1);
    b = std::make_unique<Node>(right, folder.path(), 2);
    a->apply({b->as_peer("10.9.1.2:51820")});
    b->apply({a->as_peer("10.9.1.1:51820")});
    REQUIRE(a->wait_for_contact(2));
    raise_firewall(left, *a, {web_here.for_firewall("web"), db_here.for_firewall("db")});
    raise_firewall(right, *b, {web_there.for_firewall("web"), db_there.for_firewall("db")});
  }
};

bool reaches(const Namespace& from, const std::string& address) {
  return exchange(from, address, kPort, "hello");
}

// What is dropped is not answered: it is waited for much longer than an answer takes.
bool is_kept_from(const Namespace& from, const std::string& address) {
  return !exchange(from, address, kPort, "hello", 700ms);
}

}  // namespace

TEST_CASE("machines of one app reach each other on any node, those of another app on none") {
  const Hosts hosts;
  const EchoServer web(hosts.web_there.inside(), hosts.web_there.address(), kPort);
  const EchoServer db(hosts.db_there.inside(), hosts.db_there.address(), kPort);
  const EchoServer neighbour(hosts.db_here.inside(), hosts.db_here.address(), kPort);
  CHECK(reaches(hosts.web_here.inside(), hosts.web_there.address()));
  CHECK(reaches(hosts.db_here.inside(), hosts.db_there.address()));
  CHECK(is_kept_from(hosts.web_here.inside(), hosts.db_there.address()));
  CHECK(is_kept_from(hosts.web_here.inside(), hosts.db_here.address()));
}

TEST_CASE("a machine reaches no node's mesh address, neither its own's nor another's") {
  const Hosts hosts;
  const EchoServer here(hosts.left, hosts.a->address(), kPort);
  const EchoServer there(hosts.right, hosts.b->address(), kPort);
  CHECK(is_kept_from(hosts.web_here.inside(), hosts.a->address()));
  CHECK(is_kept_from(hosts.web_here.inside(), hosts.b->address()));
  CHECK(reaches(hosts.left, hosts.b->address()));  // nodes do
}

TEST_CASE("a machine that takes another's address is not heard, here or there") {
  const Hosts hosts;
  const std::string stolen = AppNetwork(fleet(), *NodeIndex::make(1), kDb).machine(kGateway + 9);
  hosts.web_here.inside().command(fmt::format("ip addr add {}/128 dev eth0 nodad", stolen));
  const sys::Fd receiver = udp_receiver(hosts.db_there.inside(), hosts.db_there.address(), kPort);
  const sys::Fd liar = udp_socket(hosts.web_here.inside(), stolen, hosts.db_there.address(), kPort);
  CHECK(send_datagram(liar, 11));
  const sys::Fd honest =
      udp_socket(hosts.db_here.inside(), hosts.db_here.address(), hosts.db_there.address(), kPort);
  CHECK(send_datagram(honest, 22));
  CHECK(receive_length(receiver) == 22);
}

TEST_CASE("a node whose firewall is gone still can't let its machines into other apps or nodes") {
  Hosts hosts;
  hosts.left.command("nft delete table inet perigee_e2e_1");
  const EchoServer db(hosts.db_there.inside(), hosts.db_there.address(), kPort);
  const EchoServer there(hosts.right, hosts.b->address(), kPort);
  CHECK(is_kept_from(hosts.web_here.inside(), hosts.db_there.address()));
  CHECK(is_kept_from(hosts.web_here.inside(), hosts.b->address()));
  CHECK(is_kept_from(hosts.left, hosts.web_there.address()));  // nor the node itself
}

namespace {

// A node's resolver on its gateway address, opened before there is any tap, as the worker does.
class Resolver {
 public:
  explicit Resolver(const Namespace& host) {
    host.within([this] {
      datagrams_ = *posix_->host().network.open_datagrams(*sys::Address::ip(kGateway4, 53),
                                                          sys::Binding::coming);
    });
    server_ = std::make_unique<dns::Server>(
        posix_->host(),
        [](const sys::Address&) { return fail(Code::unavailable, "no resolver is asked here"); },
        [](const std::string& address) {
          return std::optional(
              dns::Client{.view = {.app = address == "10.201.0.3" ? "web" : "db",
                                   .hosts = {{"m1", "fra", "fd12:3456:789a:2:102:304:ac9:4"}}}});
        },
        std::vector<sys::Address>());
    group_.spawn(server_->serve_datagrams(*datagrams_));
  }

  // What a resolver in the guest is told for web.internal; "" for no answer.
  std::string ask(const Guest& guest) {
    const std::string query("\x12\x34\1\0\0\1\0\0\0\0\0\0\3web\x8internal\0\0\x1c\0\1", 30);
    std::unique_ptr<sys::Datagrams> socket;
    guest.inside().within([&] {
      socket = *posix_->host().network.open_datagrams(*sys::Address::ip(guest.address4(), 0),
                                                      sys::Binding::present);
    });
    REQUIRE(socket->send(query, *sys::Address::ip(kGateway4, 53)).has_value());
    std::string buffer(512, '\0');
    async::Loop& loop = posix_->loop();
    const auto got = loop.run(
        async::with_deadline(loop, loop.deadline_in(5s), socket->receive(buffer), "answer"));
    return got ? buffer.substr(0, got->size) : "";
  }

 private:
  std::unique_ptr<sys::PosixHost> posix_ = *sys::PosixHost::open(1);
  std::unique_ptr<sys::Datagrams> datagrams_;
  std::unique_ptr<dns::Server> server_;
  async::TaskGroup group_{posix_->loop()};
};

}  // namespace

TEST_CASE("machines ask their node for names, and are told those of their own app") {
  const Hosts hosts;
  Resolver resolver(hosts.left);
  const std::string address("\xfd\x12\x34\x56\x78\x9a\0\2\1\2\3\4\x0a\xc9\0\4", 16);
  CHECK(resolver.ask(hosts.web_here).ends_with(address));
  const std::string none = resolver.ask(hosts.db_here);
  REQUIRE(none.size() >= 12);
  CHECK((none[3] & 15) == static_cast<int>(dns::Rcode::name_error));
}

int main(int argc, char** argv) {
  const std::string why = obstacle();
  if (!why.empty()) {
    std::printf("skipped: %s\n", why.c_str());
    return 77;
  }
  doctest::Context context(argc, argv);
  return context.run();
}
