// router.toml, and what it is to a router.
#include "config/router_config.h"

#include <doctest/doctest.h>

namespace perigee::config {
namespace {

constexpr std::string_view kService = "[app.http_service]\ninternal_port = 3000\n";

Result<RouterConfig> parse(std::string_view text) {
  return parse_router_config(text, "router.toml");
}
Result<RouterConfig> parse_app(std::string_view lines) {
  return parse(fmt::format("[[app]]\n{}\n{}", lines, kService));
}

TEST_CASE("an empty file is a router without apps") {
  const auto config = parse("");
  REQUIRE(config.has_value());
  CHECK(config->http == std::vector<std::string>{"127.0.0.1:8080"});
  CHECK(config->https.empty());
  CHECK(config->apps.empty());
  CHECK(config->warnings.empty());
}

TEST_CASE("every key is read") {
  const auto config = parse(R"(
http = ["0.0.0.0:80"]
https = ["0.0.0.0:443", "[::]:443"]
region = "fra"
domain = "example.net"
access_log = "log/access.log"
drain = "90s"
threads = 3
uid = 5
gid = 6

[[app]]
name = "hello"
hosts = ["WWW.Example.com", "2001:db8::1"]
machines = ["10.0.0.5", "2001:db8::5"]
certificate = "hello.pem"
private_key = "hello.key"
[app.http_service]
internal_port = 3000
force_https = true
[app.http_service.concurrency]
soft_limit = 100
)");
  REQUIRE_MESSAGE(config.has_value(), (config ? "" : config.error().context));
  CHECK(config->https.size() == 2);
  CHECK(config->region == RegionCode("fra"));
  CHECK(config->domain == "example.net");
  CHECK(config->access_log == "log/access.log");
  CHECK(config->drain == 90s);
  CHECK(config->threads == 3);
  CHECK(config->uid == 5);
  CHECK(config->gid == 6);
  REQUIRE(config->apps.size() == 1);
  const FixedApp& app = config->apps.front();
  CHECK(app.hosts == std::vector<std::string>{"www.example.com", "[2001:db8::1]"});
  CHECK(app.services.front().internal_port == 3000);
  CHECK(app.services.front().concurrency.soft_limit == 100);
  CHECK(app.certificates == std::vector<CertificateFiles>{{"hello.pem", "hello.key"}});
  CHECK(config->warnings.empty());

  const model::RouteCertificate certificate{app.hosts, "chain", "sealed"};
  const model::AppRoute route = route_of(app, *config, NodeId("box"), {certificate});
  CHECK(route.app == AppName("hello"));
  CHECK(route.certificates == std::vector{certificate});
  REQUIRE(route.targets.size() == 2);
  CHECK(route.targets[1].address == "2001:db8::5");
  CHECK(route.targets[1].node == NodeId("box"));
  CHECK(route.targets[1].listening);
  CHECK_FALSE(route.targets[1].wakeable);
}

TEST_CASE("a wrong file is refused with file and line") {
  struct Case {
    std::string_view lines;
    std::string_view error;
  };
  constexpr std::string_view kMachines = "machines = [\"10.0.0.5\"]";
  const std::string good = fmt::format("name = \"a\"\nhosts = [\"a.b\"]\n{}", kMachines);
  const Case cases[] = {
      {"name = \"a\"\nhosts = [\"a\"]", "name at least one address"},
      {"hosts = [\"a\"]\nmachines = [\"10.0.0.5\"]", "app.name: missing"},
      {"name = \"a\"\nmachines = [\"10.0.0.5\"]", "name at least one host"},
      {"name = \"a\"\nhosts = [\"a b\"]\nmachines = [\"10.0.0.5\"]", "'a b' is not a host name"},
      {"name = \"a\"\nhosts = [\"a\"]\nmachines = [\"10.0.0.5:80\"]", "the port is internal_port"},
      {"name = \"a\"\nhosts = [\"a\", \"A\"]\nmachines = [\"::1\"]", "stands there twice"},
      {"name = \"a\"\nhosts = [\"a\"]\nmachines = [\"::1\", \"::1\"]", "stands there twice"},
      {"name = \"A!\"\nhosts = [\"a\"]\nmachines = [\"::1\"]", "app.name"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.lines);
    const auto config = parse_app(each.lines);
    REQUIRE_FALSE(config.has_value());
    CHECK(config.error().context.starts_with("router.toml:"));
    CHECK(config.error().context.find(each.error) != std::string::npos);
  }
  CHECK(parse_app(good).has_value());
  CHECK_FALSE(parse_app(good + "\ncertificate = \"a.pem\"").has_value());
  const std::string two = good + "\ncertificate = [\"a.pem\", \"b.pem\"]\nprivate_key = ";
  CHECK_FALSE(parse_app(two + "\"a.key\"").has_value());
  CHECK(parse_app(two + "[\"a.key\", \"b.key\"]")->apps.front().certificates.size() == 2);
  CHECK_FALSE(parse(fmt::format("[[app]]\n{}", good)).has_value());  // without a service
  CHECK_FALSE(parse(fmt::format("[[app]]\n{0}\n{1}[[app]]\n{0}\n{1}", good, kService)).has_value());
  CHECK_FALSE(parse("http = []").has_value());
  CHECK_FALSE(parse("uid = 0").has_value());
  CHECK_FALSE(parse("threads = 0").has_value());
  CHECK_FALSE(parse("drain = \"0s\"").has_value());
  CHECK_FALSE(parse("drain = \"2h\"").has_value());
  CHECK(parse("htps = []").value().warnings.size() == 1);
}

TEST_CASE("services of TCP and UDP have their listeners, and a port is one app's") {
  const auto text = [](std::string_view name, int port) {
    return fmt::format(
        "[[app]]\nname = \"{0}\"\nhosts = [\"{0}\"]\nmachines = [\"::1\"]\n"
        "[[app.services]]\ninternal_port = 6379\n[[app.services.ports]]\nport = {1}\n",
        name, port);
  };
  const std::string top =
      "http = []\ntcp = [\"0.0.0.0:6379\"]\nudp = [\"[::]:53\"]\nproxy_from = [\"10.0.0.0/8\"]\n"
      "connections_per_client = 50\n";
  const auto config = parse(top + text("a", 6379) + text("b", 6380));
  REQUIRE_MESSAGE(config.has_value(), config.error().context);
  CHECK(config->tcp == std::vector<std::string>{"0.0.0.0:6379"});
  CHECK(config->udp == std::vector<std::string>{"[::]:53"});
  CHECK(config->proxy_from == std::vector<std::string>{"10.0.0.0/8"});
  CHECK(config->connections_per_client == 50);
  CHECK_FALSE(parse("connections_per_client = 0").has_value());
  const auto route = route_of(config->apps[1], *config, NodeId("box"), {});
  CHECK(route.shared_ports == std::vector<std::string>{"tcp/6380"});
  const auto twice = parse(text("a", 6379) + text("b", 6379));
  REQUIRE_FALSE(twice.has_value());
  CHECK(twice.error().context.find("tcp/6379 is another app's port") != std::string::npos);
  CHECK_FALSE(parse(text("a", 80)).has_value());
  CHECK_FALSE(parse(text("a", 9) + "handlers = [\"tls\", \"pg_tls\"]\n").has_value());
  CHECK_FALSE(parse("proxy_from = [\"10.0.0.1\"]").has_value());
}

}  // namespace
}  // namespace perigee::config
