// perigee.toml: what is read, what warns, what is refused, always with file and line.
#include "config/app_config.h"

#include <doctest/doctest.h>

namespace perigee::config {
namespace {

Result<AppConfig> parse(std::string_view text) {
  return parse_app_config(text, "perigee.toml");
}

TEST_CASE("a usual file becomes a machine's configuration") {
  const auto config = parse(R"(
app = "hello"
primary_region = "iad"
kill_signal = "SIGTERM"
kill_timeout = 10

[build]
  dockerfile = "Dockerfile.prod"
  build-target = "run"
  [build.args]
    VERSION = "1"

[env]
  LOG = "debug"

[http_service]
  internal_port = 3000
  force_https = true
  auto_stop_machines = "suspend"
  min_machines_running = 1
  [http_service.concurrency]
    type = "requests"
    soft_limit = 5
    hard_limit = 10

[[vm]]
  size = "shared-cpu-2x"
  memory = "1gb"

[[restart]]
  policy = "always"
  retries = 3
)");
  REQUIRE_MESSAGE(config.has_value(), (config ? "" : config.error().context));
  CHECK(config->app == AppName("hello"));
  CHECK(config->build.dockerfile == "Dockerfile.prod");
  CHECK(config->build.args == model::StringMap{{"VERSION", "1"}});
  CHECK(config->machine.env == model::StringMap{{"LOG", "debug"}});
  CHECK(config->machine.stop.timeout == 10s);
  CHECK(config->machine.guest == model::Guest{.cpu_kind = "shared", .cpus = 2, .memory_mib = 1024});
  CHECK(config->machine.restart == model::RestartPolicy{model::RestartKind::always, 3});
  REQUIRE(config->machine.services.size() == 1);
  const model::Service& service = config->machine.services[0];
  CHECK(service.internal_port == 3000);
  CHECK(service.ports.size() == 2);
  CHECK(service.ports[0].force_https);
  CHECK(service.autostop == model::Autostop::suspend);
  CHECK(service.concurrency.hard_limit == 10);
  CHECK(config->warnings.empty());
}

TEST_CASE("services in the form of 2020, ports as strings") {
  const auto config = parse(R"(
[[services]]
  internal_port = 8080
  protocol = "tcp"
  [services.concurrency]
    hard_limit = 25
    soft_limit = 20
  [[services.ports]]
    handlers = ["http"]
    port = "80"
  [[services.ports]]
    handlers = ["tls", "http"]
    port = 443
)");
  REQUIRE_MESSAGE(config.has_value(), (config ? "" : config.error().context));
  CHECK(config->machine.services[0].ports[0].port == 80);
  CHECK(config->machine.services[0].ports[1].handlers.size() == 2);
}

TEST_CASE("wrong keys and keys of features to come fail with file and line") {
  const std::pair<const char*, const char*> cases[] = {
      {"app = \"Hello\"", "perigee.toml:1: app: 'Hello' is not an app name"},
      {"\n[http_service]\ninternal_port = \"x\"",
       "perigee.toml:3: http_service.internal_port: expected a whole number, found a string"},
      {"[http_service]\ninternal_port = 70000",
       "perigee.toml:2: http_service.internal_port: 70000 is not from 1 to 65535"},
      {"[env]\nA = 1",
       "perigee.toml:2: env.A: expected a string, found a whole number (put it in quotes)"},
      {"[env]\nFLY_X = \"1\"",
       "perigee.toml:1: env: FLY_X: names with this prefix are set by the platform"},
      {"[[vm]]\nsize = \"huge\"", "perigee.toml:2: vm.size: 'huge' is not a size"},
      {"[[vm]]\nmemory = \"100mb\"",
       "perigee.toml:2: vm.memory: expected a multiple of 64 MiB from 128"},
      {"[mounts]\nsource = \"d\"", "perigee.toml:1: mounts.destination: missing"},
      {"[mounts]\nsource = \"D-1\"\ndestination = \"/data\"",
       "perigee.toml:2: mounts.source: volume name \"D-1\": a-z, 0-9 and _"},
      {"[mounts]\nsource = \"d\"\ndestination = \"/data\"\ninitial_size = \"1mb\"",
       "perigee.toml:4: mounts.initial_size: expected a size from 16 MiB"},
      {"[mounts]\nsource = \"d\"\ndestination = \"/\"",
       "perigee.toml: mounts: path \"/\": the root can't be a volume"},
      {"[[mounts]]\nsource = \"d\"\ndestination = \"/d\"\n[[mounts]]\nsource = \"e\"\n"
       "destination = \"/e\"",
       "perigee.toml:1: mounts: a machine has at most 1"},
      {"[mounts]\nsource = \"d\"\ndestination = \"/d\"\nencrypted = \"yes\"",
       "perigee.toml:4: mounts.encrypted: expected true or false"},
      {"[mounts]\nsource = \"d\"\ndestination = \"/d\"\nprocesses = [\"web\"]",
       "perigee.toml:4: mounts.processes is not yet supported"},
      {"[[statics]]\nurl_prefix = \"/\"", "perigee.toml:1: statics is not yet supported"},
      {"[http_service]\n[[http_service.machine_checks]]\nimage = \"x\"",
       "perigee.toml:2: http_service.machine_checks is not yet supported"},
      {"[[services]]\n[[services.ports]]\nport = 80\nhandlers = [\"gopher\"]",
       "perigee.toml:4: services.ports.handlers: 'gopher' is not one of http, tls, proxy_proto, "
       "pg_tls"},
      {"[[services]]\nprotocol = \"sctp\"",
       "perigee.toml:2: services.protocol: 'sctp' is not one of tcp, udp"},
      {"kill_signal = \"SIGX\"", "perigee.toml:1: kill_signal: signal 'SIGX' is not known"},
      {"kill_timeout = \"10 minutes\"",
       "perigee.toml:1: kill_timeout: '10 minutes' is not a duration"},
      {"[build]\nimage = \"a\"\ndockerfile = \"b\"",
       "perigee.toml:2: build.image: give an image or a dockerfile, not both"},
      {"a = 1979-05-27", "perigee.toml:1: dates and times have no meaning here"},
  };
  for (const auto& [text, message] : cases) {
    CAPTURE(text);
    const auto config = parse(text);
    REQUIRE_FALSE(config.has_value());
    CHECK_MESSAGE(config.error().context.starts_with(message), config.error().context);
  }
}

TEST_CASE("services of every protocol, with ranges and options of their handlers") {
  const auto config = parse_app_config(R"(
[[services]]
internal_port = 5432
  [[services.ports]]
  port = 5432
  handlers = ["pg_tls"]
    [services.ports.tls_options]
    versions = ["TLSv1.3"]

[[services]]
internal_port = 1883
  [[services.ports]]
  start_port = 8883
  end_port = "8885"
  handlers = ["tls", "proxy_proto"]
  tls_options = { alpn = ["mqtt"] }
  proxy_proto_options = { version = "v2" }

[[services]]
protocol = "udp"
internal_port = 53
  [[services.ports]]
  port = 53
)",
                                       "perigee.toml");
  REQUIRE(config.has_value());
  CHECK(config->warnings.empty());
  const auto& services = config->machine.services;
  REQUIRE(services.size() == 3);
  CHECK(services[0].ports[0] == model::Port{.port = 5432,
                                            .handlers = {model::Handler::pg_tls},
                                            .tls = {.versions = {model::TlsVersion::v1_3}}});
  CHECK(services[1].ports[0] ==
        model::Port{.port = 8883,
                    .end_port = 8885,
                    .handlers = {model::Handler::tls, model::Handler::proxy_proto},
                    .tls = {.alpn = {"mqtt"}},
                    .proxy_version = model::ProxyVersion::v2});
  CHECK(services[2].protocol == model::Protocol::udp);
}

TEST_CASE("ports that make no sense are refused where they stand") {
  for (const auto& [ports, complaint] : std::vector<std::pair<std::string, std::string>>{
           {"start_port = 9\nend_port = 5", "perigee.toml:4: services.ports.end_port: 5 is below"},
           {"port = 9\nend_port = 12", "perigee.toml:3: services.ports.port: give port, or"},
           {"port = 70000", "perigee.toml:3: services.ports.port: expected a port from 1"},
           {"handlers = [\"tls\"]", "services.ports.port: missing"},
           {"port = 9\nhandlers = [\"http\", \"pg_tls\"]",
            "perigee.toml: services: port 9: pg_tls is of PostgreSQL"},
           {"port = 9\nhandlers = [\"proxy_proto\"]\nproxy_proto_options = { version = \"v3\" }",
            "proxy_proto_options.version: 'v3' is not one of v1, v2"}}) {
    CAPTURE(ports);
    const auto config =
        parse_app_config("[[services]]\n[[services.ports]]\n" + ports, "perigee.toml");
    REQUIRE_FALSE(config.has_value());
    CHECK(config.error().context.find(complaint) != std::string::npos);
  }
}

TEST_CASE("checks of services and of the app, in both forms of their times") {
  const auto config = parse(R"(
[http_service]
  [[http_service.checks]]
    interval = "10s"
    timeout = 1500
    grace_period = "5s"
    method = "get"
    path = "/up"
    protocol = "https"
    tls_skip_verify = true
    [http_service.checks.headers]
      X-Probe = "yes"

[[services]]
  internal_port = 9000
  [[services.tcp_checks]]
    interval = 10000

[checks.alive]
  type = "http"
  port = 9001
  kind = "readiness"
[checks.port]
  port = 9002
)");
  REQUIRE_MESSAGE(config.has_value(), config.error().context);
  CHECK(config->warnings.empty());
  const auto& services = config->machine.services;
  REQUIRE(services.size() == 2);
  CHECK(services[0].checks == std::vector<model::Check>{{.type = model::CheckType::http,
                                                         .interval = 10s,
                                                         .timeout = 1500ms,
                                                         .grace_period = 5s,
                                                         .path = "/up",
                                                         .headers = {{"X-Probe", "yes"}},
                                                         .tls = true,
                                                         .tls_skip_verify = true}});
  CHECK(services[1].checks == std::vector<model::Check>{{.interval = 10s}});
  const auto& checks = config->machine.checks;
  REQUIRE(checks.size() == 2);
  CHECK(checks[0].first == "alive");
  CHECK(checks[0].second.type == model::CheckType::http);
  CHECK(checks[0].second.kind == model::CheckKind::readiness);
  CHECK(checks[1].second == model::Check{.port = 9002});
}

TEST_CASE("checks that can't be are refused") {
  for (const auto& [text, part] : std::vector<std::pair<const char*, const char*>>{
           {"[checks.a]\ntype = \"udp\"\n", "perigee.toml:2: checks.a.type: 'udp'"},
           {"[checks.a]\nport = 1\nkind = \"odd\"\n", "kind: 'odd'"},
           {"[checks.a]\n", "checks.a: port: missing"},
           {"checks = 3\n", "checks"},
           {"[checks]\na = 3\n", "checks.a"},
           {"[http_service]\n[[http_service.checks]]\ninterval = \"1ms\"\n", "interval"},
           {"[http_service]\n[[http_service.checks]]\nprotocol = \"ftp\"\n", "'ftp'"},
           {"[checks.a]\nport = 1\nprocesses = [\"web\"]\n", "not yet supported"}}) {
    const auto config = parse(text);
    CAPTURE(text);
    REQUIRE_FALSE(config.has_value());
    CHECK_MESSAGE(config.error().context.find(part) != std::string::npos, config.error().context);
  }
}

TEST_CASE("unknown keys warn and are ignored") {
  const auto config = parse("aap = \"x\"\n[http_service]\ninternal_prot = 1\n");
  REQUIRE(config.has_value());
  CHECK(config->warnings ==
        std::vector<std::string>{
            "perigee.toml:3: unknown key 'http_service.internal_prot' is ignored (did you mean "
            "'internal_port'?)",
            "perigee.toml:1: unknown key 'aap' is ignored (did you mean 'app'?)"});
}

TEST_CASE("what launch writes reads back") {
  const auto config = parse(render_app_config({.app = AppName("web"),
                                               .primary_region = RegionCode("fra"),
                                               .image = "",
                                               .internal_port = 3000,
                                               .memory_mib = 512}));
  REQUIRE_MESSAGE(config.has_value(), (config ? "" : config.error().context));
  CHECK(config->app == AppName("web"));
  CHECK(config->machine.services[0].internal_port == 3000);
  CHECK(config->machine.guest.memory_mib == 512);
  CHECK(config->warnings.empty());
}

}  // namespace
TEST_CASE("an app that speaks HTTP/2 alone says so for all ports of its service") {
  const auto config = parse("[http_service]\n[http_service.http_options]\nh2_backend = true\n");
  REQUIRE_MESSAGE(config.has_value(), (config ? "" : config.error().context));
  for (const model::Port& port : config->machine.services[0].ports) {
    CHECK(port.http_options.h2_backend);
  }
  CHECK_FALSE(parse("[http_service]\n")->machine.services[0].ports[0].http_options.h2_backend);
  const auto later = parse("[http_service.http_options]\nidle_timeout = 60\n");
  REQUIRE_FALSE(later.has_value());
  CHECK(later.error().context.find("perigee.toml:2") != std::string::npos);
  const auto differs = parse(R"(
[[services]]
  [[services.ports]]
    port = 80
    handlers = ["http"]
    http_options = { h2_backend = true }
  [[services.ports]]
    port = 443
    handlers = ["tls", "http"]
)");
  REQUIRE_FALSE(differs.has_value());
  CHECK(differs.error().context.find("speaks one protocol") != std::string::npos);
}

TEST_CASE("what becomes of responses is read under fly.toml's names") {
  const auto config = parse(R"(
[http_service.http_options]
compress = true
affinity = { cookie = "seat" }
[http_service.http_options.response]
pristine = true
headers = { Server = false, X-Frame-Options = "DENY", Link = ["<a>", "<b>"] }
)");
  REQUIRE_MESSAGE(config.has_value(), (config ? "" : config.error().context));
  CHECK(config->warnings.empty());
  const model::HttpOptions& options = config->machine.services[0].ports[1].http_options;
  CHECK(options.compress);
  CHECK(options.pristine);
  CHECK(options.affinity == model::Affinity{.kind = model::AffinityKind::cookie, .name = "seat"});
  REQUIRE(options.response_headers.size() == 3);
  CHECK(options.response_headers[0] == model::HeaderRule{.name = "Link", .values = {"<a>", "<b>"}});
  CHECK(options.response_headers[1].values.empty());
  for (const auto& [text, complaint] : std::vector<std::pair<std::string, std::string>>{
           {"response = { headers = { Server = true } }",
            "response.headers.Server: expected false"},
           {"response = { headers = { Connection = \"close\" } }",
            "Connection is the router's own"},
           {"response = { headers = { A = \"b\\nc\" } }", "without line breaks"},
           {"affinity = { cookie = \"a\", header = \"b\" }", "give cookie or header"},
           {"affinity = { header = \"a b\" }", "'a b' is no header's name"}}) {
    CAPTURE(text);
    const auto wrong = parse("[http_service.http_options]\n" + text + "\n");
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().context.find(complaint) != std::string::npos);
  }
}

TEST_CASE("an egress policy is read as the API reads it, and absent where the file has none") {
  CHECK_FALSE(parse("app = \"x\"\n")->egress.has_value());
  const auto closed = parse("[egress]\npolicy = \"closed\"\n");
  REQUIRE(closed.has_value());
  CHECK(closed->egress->kind == model::EgressKind::closed);
  const auto listed = parse("[egress]\nallow = [\"203.0.113.0/24:443\"]\n");
  REQUIRE(listed.has_value());
  CHECK(listed->egress->kind == model::EgressKind::listed);
  REQUIRE(listed->egress->rules.size() == 1);
  CHECK(listed->egress->rules[0].first_port == 443);
  for (const char* text : {"[egress]\npolicy = \"some\"\n", "[egress]\nallow = [\"all\"]\n",
                           "[egress]\npolicy = \"closed\"\nallow = [\"203.0.113.7\"]\n"}) {
    CAPTURE(text);
    const auto wrong = parse(text);
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().context.find("egress.") != std::string::npos);
  }
}

}  // namespace perigee::config
