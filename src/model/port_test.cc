#include "model/port.h"

#include <doctest/doctest.h>

#include "model/checks.h"
#include "model/json.h"
#include "model/limits.h"
#include "model/shared_ports.h"

namespace perigee::model {
namespace {

Result<MachineConfig> services_of(std::string_view services) {
  const auto value = json::parse(fmt::format(R"({{"services":{}}})", services));
  REQUIRE(value.has_value());
  return machine_config_from(*value);
}

TEST_CASE("ports of every kind survive a round trip") {
  const auto config = services_of(R"([
    {"internal_port": 5432, "ports": [{"port": 5432, "handlers": ["pg_tls"],
        "tls_options": {"versions": ["TLSv1.3"]}}]},
    {"internal_port": 1883, "ports": [{"port": 8883, "handlers": ["tls", "proxy_proto"],
        "tls_options": {"alpn": ["mqtt"]}, "proxy_proto_options": {"version": "v2"}}]},
    {"internal_port": 5000, "protocol": "udp", "ports": [{"start_port": 5000, "end_port": 5010}]},
    {"internal_port": 9000, "ports": [{"port": 9000}, {"port": 5005, "handlers": []}]}])");
  REQUIRE(config.has_value());
  const auto& services = config->services;
  CHECK(services[0].ports[0].tls.versions == std::vector{TlsVersion::v1_3});
  CHECK(services[1].ports[0].tls.alpn == std::vector<std::string>{"mqtt"});
  CHECK(services[1].ports[0].proxy_version == ProxyVersion::v2);
  CHECK(services[2].protocol == Protocol::udp);
  CHECK(services[2].ports[0].contains(5010));
  CHECK_FALSE(services[2].ports[0].contains(5011));
  const auto again = machine_config_from(to_json(*config));
  REQUIRE(again.has_value());
  CHECK(*again == *config);
}

TEST_CASE("ports that make no sense are refused with the reason") {
  for (
      const auto& [services, complaint] : std::vector<std::pair<std::string, std::string>>{
          {R"([{"protocol":"udp","ports":[{"port":53,"handlers":["tls"]}]}])",
           "port 53: udp has no handlers"},
          {R"([{"ports":[{"port":5432,"handlers":["pg_tls","http"]}]}])",
           "port 5432: pg_tls is of PostgreSQL"},
          {R"([{"ports":[{"port":5432,"handlers":["pg_tls","tls"]}]}])",
           "port 5432: pg_tls starts TLS itself"},
          {R"([{"ports":[{"port":80,"handlers":["http","proxy_proto"]}]}])",
           "port 80: http tells the client's address in headers"},
          {R"([{"ports":[{"port":25,"handlers":["tls","tls"]}]}])", "a handler is given twice"},
          {R"([{"ports":[{"port":25,"tls_options":{"alpn":["x"]}}]}])",
           "port 25: tls_options need the tls or pg_tls handler"},
          {R"([{"ports":[{"port":25,"handlers":["tls"],"tls_options":{"alpn":[""]}}]}])",
           "port 25: '' is no name for alpn"},
          {R"([{"ports":[{"port":25,"handlers":["tls"],"tls_options":{"versions":["TLSv1.1"]}}]}])",
           "'TLSv1.1' is not one of TLSv1.2, TLSv1.3"},
          {R"([{"ports":[{"start_port":9,"end_port":5}]}])", "ports 9-5: expected ports from 1"},
          {R"([{"ports":[{"port":9,"end_port":15}]}])", "give it or start_port and end_port"},
          {R"([{"ports":[{"start_port":90,"end_port":99}]},{"ports":[{"port":95}]}])",
           "ports 90-99 and port 95 of tcp overlap"}}) {
    CAPTURE(services);
    const auto config = services_of(services);
    REQUIRE_FALSE(config.has_value());
    CHECK(config.error().context.find(complaint) != std::string::npos);
  }
}

TEST_CASE("options of HTTP survive a round trip, and those that make no sense do not pass") {
  const auto of = [](const std::string& options) {
    return services_of(fmt::format(
        R"([{{"ports":[{{"port":80,"handlers":["http"],"http_options":{}}}]}}])", options));
  };
  const auto config = of(R"({"compress":true,"affinity":{"header":"X-Room"},
      "response":{"pristine":true,"headers":{"Server":false,"A":"b","C":["d","e"]}}})");
  REQUIRE_MESSAGE(config.has_value(), (config ? "" : config.error().context));
  const HttpOptions& options = config->services[0].ports[0].http_options;
  CHECK(options.compress);
  CHECK(options.pristine);
  CHECK(options.affinity.kind == AffinityKind::header);
  CHECK(options.response_headers[2].values == std::vector<std::string>{"d", "e"});
  CHECK(machine_config_from(to_json(*config)) == *config);
  for (const auto& [text, complaint] : std::vector<std::pair<std::string, std::string>>{
           {R"({"response":{"headers":{"A":7}}})", "A: expected false, a string or a list"},
           {R"({"response":{"headers":{"A":[]}}})", "A: an empty list"},
           {R"({"response":{"headers":[]}})", "headers: expected an object"},
           {R"({"response":{"headers":{"A\n":"b"}}})", "is no header's name"},
           {R"({"response":{"headers":{"A":"b\nc"}}})", "without line breaks"},
           {R"({"response":{"headers":{"content-length":"1"}}})", "is the router's own"},
           {R"({"affinity":{}})", "affinity: give cookie or header"},
           {R"({"affinity":{"cookie":"a;b"}})", "'a;b' is no header's name"}}) {
    CAPTURE(text);
    const auto wrong = of(text);
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().context.find(complaint) != std::string::npos);
  }
  std::string many = "{\"response\":{\"headers\":{";
  for (std::size_t i = 0; i <= kMaxHeaderRules; ++i) {
    many += fmt::format("{}\"x-{}\":\"y\"", i == 0 ? "" : ",", i);
  }
  CHECK_FALSE(of(many + "}}}").has_value());
}

TEST_CASE("tcp and udp have ports of their own") {
  CHECK(services_of(R"([{"ports":[{"port":53}]},{"protocol":"udp","ports":[{"port":53}]}])")
            .has_value());
}

TEST_CASE("an app is expected to listen on the port of its first service of tcp") {
  MachineConfig config;
  CHECK(listening_port(config) == 0);
  config.services.push_back({.protocol = Protocol::udp, .internal_port = 53});
  CHECK(listening_port(config) == 0);
  config.services.push_back({.internal_port = 8080});
  CHECK(listening_port(config) == 8080);
}

Service service(Port port, Protocol protocol = Protocol::tcp) {
  return {.protocol = protocol, .ports = {std::move(port)}};
}

TEST_CASE("what is found by a name is shared by all apps, every other port is one's alone") {
  using enum Handler;
  const auto of = [](const std::vector<Service>& services) {
    return shared_ports_of(services).value_or(std::vector<std::string>{"error"});
  };
  using Ports = std::vector<std::string>;
  CHECK(of({service({.port = 80, .handlers = {http}})}) == Ports{});
  CHECK(of({service({.port = 443, .handlers = {tls, http}})}) == Ports{});
  CHECK(of({service({.port = 443})}) == Ports{});
  CHECK(of({service({.port = 443, .handlers = {tls}})}) == Ports{});
  CHECK(of({service({.port = 8080, .handlers = {http}})}) == Ports{"tcp/8080"});
  CHECK(of({service({.port = 5432, .handlers = {pg_tls}})}) == Ports{"tcp/5432"});
  CHECK(of({service({.port = 80}, Protocol::udp)}) == Ports{"udp/80"});
  CHECK(of({service({.port = 53}), service({.port = 53, .end_port = 54}, Protocol::udp)}) ==
        Ports{"tcp/53", "udp/53", "udp/54"});
  CHECK(of({service({.port = 80})}) == Ports{"error"});
  CHECK(of({service({.port = 443, .handlers = {pg_tls}})}) == Ports{"error"});
  CHECK(of({service({.port = 1000, .end_port = 1255})}).size() == 256);
  CHECK(of({service({.port = 1000, .end_port = 1256})}) == Ports{"error"});
}

}  // namespace
}  // namespace perigee::model
