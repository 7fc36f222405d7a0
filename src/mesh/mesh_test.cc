#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "mesh/address_plan.h"
#include "mesh/guard.h"
#include "mesh/keeper.h"
#include "mesh/key_file.h"
#include "mesh/keys.h"
#include "sys/posix_host.h"

using namespace perigee;
using namespace perigee::mesh;

namespace {

// Of wg genkey and wg pubkey.
constexpr std::string_view kPrivate = "aOAFkCjnIqWmQqgqO9pCTCUBjKXNiAu3BnWj+nNz0Fo=";

PublicKey public_key(char fill) {
  return *PublicKey::from_raw(std::string(32, fill));
}

PrivateKey private_key(char fill) {
  return *PrivateKey::from_raw(std::string(32, fill));
}

NodeIndex index_of(int value) {
  return *NodeIndex::make(value);
}

MeshConfig three_nodes() {
  return {.fleet = *FleetPrefix::parse("fd12:3456:789a::/48"),
          .index = index_of(1),
          .key = private_key('a'),
          .peers = {{.node = NodeId("fra"), .index = index_of(2), .key = public_key('b')},
                    {.node = NodeId("nrt"), .index = index_of(0x100), .key = public_key('c')}}};
}

struct TemporaryFolder {
  std::string path = "/tmp/perigee-mesh-XXXXXX";
  TemporaryFolder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("keys are read and written as wg(8) does") {
  const auto key = PrivateKey::parse(kPrivate);
  REQUIRE(key.has_value());
  CHECK(key->base64() == kPrivate);
  const PublicKey& derived = key->public_key();
  CHECK(PublicKey::parse(derived.base64()).value() == derived);
  for (const std::string_view bad : {"", "short", "aOAFkCjnIqWmQqgqO9pCTCUBjKXNiAu3BnWj+nNz0Fo",
                                     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                     "aOAFkCjnIqWmQqgqO9pCTCUBjKXNiAu3BnWj-nNz0Fo="}) {
    CAPTURE(bad);
    CHECK(PublicKey::parse(bad).error().code == Code::invalid_argument);
  }
}

TEST_CASE("a private key is clamped, so that what a device gives back is equal") {
  const PrivateKey raw = *PrivateKey::from_raw(std::string(32, '\xff'));
  CHECK(PrivateKey::from_raw(raw.raw()).value() == raw);
  CHECK(static_cast<unsigned char>(raw.raw()[0]) == 0xf8);
  CHECK(static_cast<unsigned char>(raw.raw()[31]) == 0x7f);
}

TEST_CASE("a prefix is the same by any spelling, and has no bits behind its length") {
  CHECK(Prefix::parse("FD00:0:0::/48").value() == Prefix::parse("fd00::/48").value());
  CHECK(Prefix::parse("fd00::5")->str() == "fd00::5/128");
  CHECK(Prefix::parse("10.1.0.0/16")->str() == "10.1.0.0/16");
  for (const std::string_view bad :
       {"", "/", "fd00::/129", "fd00::1/64", "10.0.0.1/24", "10.0.0.0/33", "x/8", "fd00::/-1"}) {
    CAPTURE(bad);
    CHECK_FALSE(Prefix::parse(bad).has_value());
  }
}

TEST_CASE("nodes, hosts and machines have their places in the fleet's network") {
  const auto fleet = FleetPrefix::parse("fd12:3456:789a::/48");
  REQUIRE(fleet.has_value());
  CHECK(fleet->nodes().str() == "fd12:3456:789a::/64");
  CHECK(fleet->node_address(index_of(65535)) == "fd12:3456:789a::ffff");
  CHECK(fleet->machines(index_of(258)).str() == "fd12:3456:789a:102::/64");
  CHECK(fleet->machine_address(index_of(258), 0, 0x0ac90001) == "fd12:3456:789a:102::ac9:1");
  CHECK(fleet->machine_address(index_of(258), 0x01020304, 0x0ac90002) ==
        "fd12:3456:789a:102:102:304:ac9:2");
  CHECK(fleet->app(0x01020304) ==
        AppMatch{"ffff:ffff:ffff:0:ffff:ffff::", "fd12:3456:789a:0:102:304::"});
}

TEST_CASE("a fleet's network is a unique local /48, a node's index one of 65535") {
  for (const std::string_view bad : {"fd12:3456:789a::/64", "2001:db8::/48", "fc00:1::/48", "",
                                     "10.0.0.0/8", "fd12:3456:789a:1::/48"}) {
    CAPTURE(bad);
    CHECK(FleetPrefix::parse(bad).error().code == Code::invalid_argument);
  }
  CHECK_FALSE(NodeIndex::make(0).has_value());
  CHECK_FALSE(NodeIndex::make(65536).has_value());
}

TEST_CASE("an app's network on a node gives addresses, and is read back") {
  const auto network = AppNetwork::parse("fd12:3456:789a:5:102:304::/96");
  REQUIRE(network.has_value());
  CHECK(network->str() == "fd12:3456:789a:5:102:304::/96");
  CHECK(*network == AppNetwork(three_nodes().fleet, index_of(5), 0x01020304));
  CHECK(network->machine(0x0ac90002) == "fd12:3456:789a:5:102:304:ac9:2");
  CHECK(network->gateway(0x0ac90001) == "fd12:3456:789a:5::ac9:1");
  CHECK(network->match().value == "fd12:3456:789a:0:102:304::");
  for (const std::string_view bad :
       {"", "fd12:3456:789a:5:102:304::/64", "fd12:3456:789a:0:102:304::/96",
        "fd12:3456:789a:5::/96", "2001:db8:0:5:102:304::/96", "fd12:3456:789a:5:102:304::1/96"}) {
    CAPTURE(bad);
    CHECK(AppNetwork::parse(bad).error().code == Code::invalid_argument);
  }
}

TEST_CASE("generated keys and fleet networks are valid, and no two are the same") {
  const auto host = *sys::PosixHost::open(1);
  std::set<std::string> seen;
  for (int i = 0; i < 20; ++i) {
    const FleetPrefix fleet = FleetPrefix::generate(host->host().entropy);
    CHECK(FleetPrefix::parse(fleet.prefix().str()).value() == fleet);
    CHECK(seen.insert(fleet.prefix().str()).second);
    CHECK(seen.insert(PrivateKey::generate(host->host().entropy).base64()).second);
  }
}

TEST_CASE("a member may send from its own address and its machines', and nothing else") {
  const auto config = device_config(three_nodes());
  REQUIRE(config.has_value());
  REQUIRE(config->peers.size() == 2);
  const WantedPeer& peer = config->peers[1];
  CHECK(peer.name == "nrt");
  CHECK(peer.allowed == std::vector<Prefix>{*Prefix::parse("fd12:3456:789a::100/128"),
                                            *Prefix::parse("fd12:3456:789a:100::/64")});
  CHECK(peer.keepalive == kKeepalive);
  CHECK_FALSE(peer.endpoint.has_value());
}

TEST_CASE("a peership that would take from one node what is another's is refused") {
  MeshConfig same_index = three_nodes();
  same_index.peers[1].index = index_of(2);
  MeshConfig our_index = three_nodes();
  our_index.peers[1].index = index_of(1);
  MeshConfig same_key = three_nodes();
  same_key.peers[1].key = public_key('b');
  MeshConfig our_key = three_nodes();
  our_key.peers[1].key = our_key.key.public_key();
  MeshConfig same_next = three_nodes();
  same_next.peers[1].next_key = public_key('b');
  MeshConfig mtu = three_nodes();
  mtu.mtu = kMinMtu - 1;
  for (const MeshConfig& bad : {same_index, our_index, same_key, our_key, same_next, mtu}) {
    CHECK(device_config(bad).error().code == Code::invalid_argument);
  }
  CHECK(device_config(same_index).error().context.find("nrt") != std::string::npos);
}

TEST_CASE("interfaces have names of their own that fit") {
  CHECK(interface_name("/var/lib/perigee") != interface_name("/var/lib/perigee2"));
  CHECK(interface_name("/var/lib/perigee").size() == 12);
}

TEST_CASE("the guard keeps the fleet's addresses to the mesh, this host and its machines") {
  const FleetPrefix fleet = *FleetPrefix::parse("fd12:3456:789a::/48");
  CHECK(guard_rules("pgw-3f00aa12", fleet.prefix()) ==
        R"(table inet perigee_pgw_3f00aa12
delete table inet perigee_pgw_3f00aa12
table inet perigee_pgw_3f00aa12 {
  chain prerouting {
    type filter hook prerouting priority raw - 5; policy accept;
    iifname "lo" return
    iifname "pg*" return
    ip6 saddr fd12:3456:789a::/48 drop
    ip6 daddr fd12:3456:789a::/48 drop
  }
}
)");
}

TEST_CASE("node keys are written and read back; what is not such a text is refused") {
  NodeKeys keys{.current = private_key('a')};
  CHECK(parse_node_keys(to_text(keys)).value() == keys);
  keys.next = private_key('b');
  CHECK(parse_node_keys(to_text(keys)).value() == keys);
  keys.taken_at = WallTime{1'780'000'000'000'000'000};
  keys.announced_at = WallTime{1'790'000'000'000'000'000};
  CHECK(parse_node_keys(to_text(keys)).value() == keys);
  for (const std::string_view bad : {"", "{}", R"({"key": "x"})"}) {
    CHECK_FALSE(parse_node_keys(bad).has_value());
  }
}

TEST_CASE("a node's key outlives its process, and is changed after its announcement") {
  const TemporaryFolder folder;
  const auto host = *sys::PosixHost::open(1);
  const std::string path = folder.path + "/wireguard.json";
  const auto open = [&] { return host->loop().run(KeyFile::open(host->host(), path)); };
  auto first = open();
  REQUIRE(first.has_value());
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  const NodeKeys before = first->keys();
  const WallTime now{1'790'000'000'000'000'000};
  CHECK(host->loop().run(first->announced(now)).error().code == Code::conflict);
  REQUIRE(host->loop().run(first->prepare_next()).has_value());
  auto second = open();  // as after a kill
  REQUIRE(second.has_value());
  CHECK(second->keys() == first->keys());
  CHECK(second->keys().current == before.current);
  REQUIRE(host->loop().run(second->prepare_next()).has_value());
  CHECK(second->keys() == first->keys());  // one that nobody was told of is as good
  CHECK(host->loop().run(second->switch_to_next(now)).error().code == Code::conflict);
  REQUIRE(host->loop().run(second->announced(now)).has_value());
  CHECK(open()->keys() == second->keys());
  REQUIRE(host->loop().run(second->switch_to_next(now + 1h)).has_value());
  CHECK(open()->keys() == NodeKeys{.current = *first->keys().next, .taken_at = now + 1h});
}
