// perigeed.toml, paths and the reader under both.
#include <doctest/doctest.h>

#include "config/cli_config.h"
#include "config/node_config.h"
#include "config/paths.h"

namespace perigee::config {
namespace {

Result<NodeConfig> parse(std::string_view text) {
  return parse_node_config(text, "perigeed.toml", "box", "/opt/perigee/bin");
}

TEST_CASE("an empty file is a node with all roles") {
  const auto config = parse("");
  REQUIRE(config.has_value());
  CHECK(config->node == NodeId("box"));
  CHECK(config->region == RegionCode("loc"));
  CHECK(config->runs("worker"));
  CHECK(config->guest_directory == "/opt/perigee/guest");
  CHECK(config->warnings.empty());
}

TEST_CASE("every key is read") {
  const auto config = parse(R"(
node = "n1"
region = "fra"
roles = ["router"]
guest_dir = "/g"
[api]
listen = ["0.0.0.0:1"]
[router]
http = ["0.0.0.0:80"]
https = []
backhaul = ["[fd00::1]:4282"]
domain = "example.net"
drain = "2m"
uid = 5
gid = 6
[control]
autostop_idle = "90s"
listen_timeout = "30s"
wrong_port_timeout = "5s"
lost_after = "2m"

[metrics]
listen = ["127.0.0.1:1", "127.0.0.1:2"]
[worker]
network = "10.9.0.0/16"
memory_mib = 4096
accelerator = "tcg"
[logs]
max_mib = 32
keep = "48h"
destroyed_mib = 0
)");
  REQUIRE_MESSAGE(config.has_value(), (config ? "" : config.error().context));
  CHECK(config->region == RegionCode("fra"));
  CHECK_FALSE(config->runs("worker"));
  CHECK(config->https_listen.empty());
  CHECK(config->backhaul_listen == std::vector<std::string>{"[fd00::1]:4282"});
  CHECK(config->metrics_listen.size() == 2);
  CHECK(config->router_drain == 120s);
  CHECK(config->router_uid == 5);
  CHECK(config->memory_mib == 4096);
  CHECK(config->autostop_idle == 90s);
  CHECK(config->listen_timeout == 30s);
  CHECK(config->wrong_port_timeout == 5s);
  CHECK(config->lost_after == 120s);
  CHECK(config->accelerator == "tcg");
  CHECK(config->log_max_mib == 32);
  CHECK(config->log_keep == 48h);
  CHECK(config->log_destroyed_mib == 0);
  CHECK(config->warnings.empty());
}

TEST_CASE("a wrong key fails with file and line, an unknown one warns") {
  const std::pair<const char*, const char*> cases[] = {
      {"\nregion = \"EU\"",
       "perigeed.toml:2: region: 'EU' is not a region (three letters, such as iad)"},
      {"[control]\nlisten_timeout = 0", "perigeed.toml:2: control.listen_timeout: from 1s to 1h"},
      {"[control]\nlost_after = 5", "perigeed.toml:2: control.lost_after: from 15s to 24h"},
      {"[control]\nautostop_idle = 0", "perigeed.toml:2: control.autostop_idle: from 1s to 24h"},
      {"roles = [\"king\"]", "perigeed.toml:1: roles: 'king' is not control, worker or router"},
      {"node = 5", "perigeed.toml:1: node: expected a string, found a whole number"},
      {"[router]\ndrain = 0", "perigeed.toml:2: router.drain: from 1s to 1h"},
      {"[router]\nuid = 0", "perigeed.toml:2: router.uid: 0 is not from 1 to 4000000000"},
      {"[api]\nlisten = [1]",
       "perigeed.toml:2: api.listen: expected a list of strings, found a whole number in it"},
      {"[logs]\nmax_mib = 0", "perigeed.toml:2: logs.max_mib: 0 is not from 1 to 1024"},
      {"api = 3", "perigeed.toml:1: api: expected a table, found a whole number"},
  };
  for (const auto& [text, message] : cases) {
    const auto config = parse(text);
    REQUIRE_FALSE(config.has_value());
    CHECK(config.error().context == message);
  }
  const auto broken = parse("node = \"x\nregion");
  REQUIRE_FALSE(broken.has_value());
  CHECK(broken.error().context.starts_with("perigeed.toml:1: "));
  const auto typo = parse("regoin = \"fra\"");
  REQUIRE(typo.has_value());
  CHECK(typo->warnings ==
        std::vector<std::string>{
            "perigeed.toml:1: unknown key 'regoin' is ignored (did you mean 'region'?)"});
}

TEST_CASE("PERIGEE_ROOT moves every path") {
  const Paths usual = paths_under("", "/home/me");
  CHECK(usual.state == "/var/lib/perigee");
  CHECK(usual.cli_file == "/home/me/.config/perigee/config.toml");
  const Paths moved = paths_under("/tmp/p", "/home/me");
  CHECK(moved.store() == "/tmp/p/var/lib/perigee/store.db");
  CHECK(moved.socket("control") == "/tmp/p/run/perigee/control.sock");
  CHECK(moved.cli_file == "/tmp/p/config.toml");
}

TEST_CASE("the command line's file reads back as it was written, odd characters included") {
  const CliConfig config{.api_url = "http://[::1]:4280",
                         .token = "a\"b\\c\nd\x7f\xc3\xa9",
                         .http_port = 8080,
                         .https_port = 8443};
  const auto again = parse_cli_config(render_cli_config(config), "config.toml");
  REQUIRE_MESSAGE(again.has_value(), (again ? "" : again.error().context));
  CHECK(*again == config);
  CHECK(load_cli_config("/nonexistent/config.toml").value() == CliConfig{});
  const auto wrong = parse_cli_config("\ntoken = 5", "config.toml");
  REQUIRE_FALSE(wrong.has_value());
  CHECK(wrong.error().context == "config.toml:2: token: expected a string, found a whole number");
}

TEST_CASE("[store] names the engine, and what etcd needs goes together") {
  CHECK(parse("")->store == StoreConfig{});
  const auto etcd = parse(R"(
[store]
engine = "etcd"
endpoints = ["https://10.0.0.1:2379", "https://10.0.0.2:2379"]
ca = "/e/ca.pem"
certificate = "/e/node.pem"
key = "/e/node.key"
user = "perigee"
password_file = "/e/password"
prefix = "/fleet"
)");
  REQUIRE_MESSAGE(etcd.has_value(), (etcd ? "" : etcd.error().context));
  CHECK(etcd->warnings.empty());
  StoreConfig expected;
  expected.engine = StoreConfig::Engine::etcd;
  expected.endpoints = {"https://10.0.0.1:2379", "https://10.0.0.2:2379"};
  expected.ca_file = "/e/ca.pem";
  expected.certificate_file = "/e/node.pem";
  expected.key_file = "/e/node.key";
  expected.user = "perigee";
  expected.password_file = "/e/password";
  expected.prefix = "/fleet";
  CHECK(etcd->store == expected);
  for (const char* wrong : {"engine = \"postgres\"", "engine = \"etcd\"", "key = \"/k\"",
                            "user = \"u\"", "endpoints = 1"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse(fmt::format("[store]\n{}\n", wrong)).has_value());
  }
}

TEST_CASE("where apps' own addresses and ports come from, and who may tell of clients") {
  const auto config = parse(R"(
address_prefixes = ["203.0.113.0/28", "2001:db8::/64"]
[router]
tcp = ["0.0.0.0:5432"]
udp = ["[::]:53"]
proxy_from = ["10.0.0.0/8"]
connections_per_client = 50
)");
  REQUIRE(config.has_value());
  CHECK(config->warnings.empty());
  CHECK(config->address_prefixes.size() == 2);
  CHECK(config->tcp_listen == std::vector<std::string>{"0.0.0.0:5432"});
  CHECK(config->udp_listen == std::vector<std::string>{"[::]:53"});
  CHECK(config->proxy_from == std::vector<std::string>{"10.0.0.0/8"});
  CHECK(config->connections_per_client == 50);
  for (const char* wrong :
       {"address_prefixes = [\"203.0.113.1/28\"]", "address_prefixes = [\"web\"]",
        "[router]\nproxy_from = [\"10.0.0.1\"]"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse(wrong).has_value());
  }
}

}  // namespace
}  // namespace perigee::config
