#include "model/egress.h"

#include <doctest/doctest.h>

#include "model/json.h"

using namespace perigee;
using namespace perigee::model;

TEST_CASE("a rule names a network and perhaps ports, and prints as it was read") {
  const auto rule = parse_egress_rule("203.0.113.0/24:8000-8100");
  REQUIRE(rule.has_value());
  CHECK((*rule == EgressRule{"203.0.113.0/24", 8000, 8100}));
  CHECK(parse_egress_rule("203.0.113.7:443")->network == "203.0.113.7/32");
  CHECK(parse_egress_rule("2001:db8::1")->network == "2001:db8::1/128");
  for (const char* text : {"0.0.0.0/0", "203.0.113.0/24:443", "2001:db8::/32", "::/0",
                           "[2001:db8::/32]:443", "[2001:db8::/32]:80-90"}) {
    INFO(text);
    REQUIRE(parse_egress_rule(text).has_value());
    CHECK(to_text(*parse_egress_rule(text)) == text);
  }
}

TEST_CASE("what is no rule is refused with the reason") {
  const auto refusal = [](const char* text) {
    const auto rule = parse_egress_rule(text);
    return rule ? std::string("accepted") : rule.error().context;
  };
  CHECK(refusal("example.com:443").find("'example.com/32' is not a network") != std::string::npos);
  CHECK(refusal("203.0.113.1/24").find("bits beyond the /24") != std::string::npos);
  CHECK(refusal("203.0.113.0/33").find("not a network") != std::string::npos);
  for (const char* text : {"203.0.113.0/24:0", "203.0.113.0/24:90-80", "203.0.113.0/24:65536",
                           "203.0.113.0/24:", "[2001:db8::/32]443"}) {
    INFO(text);
    CHECK(refusal(text).find("expected a port") != std::string::npos);
  }
  CHECK(refusal("").find("not a network") != std::string::npos);
  CHECK(refusal("[2001:db8::/32").find("not a network") != std::string::npos);
  CHECK(refusal("1.2.3.4; drop").find("not a network") != std::string::npos);
}

TEST_CASE("a policy survives JSON, with its app and with its machines") {
  const EgressPolicy egress{EgressKind::listed, {{"203.0.113.0/24", 443, 443}, {"2001:db8::/32"}}};
  CHECK(to_json(egress).dump() ==
        R"({"policy":"list","allow":["203.0.113.0/24:443","2001:db8::/32"]})");
  CHECK((egress_policy_from(to_json(egress)) == egress));
  App app;
  app.name = AppName("web");
  app.egress = egress;
  CHECK((app_from(to_json(app))->egress == egress));
  Machine machine;
  machine.id = MachineId("m1");
  machine.app = AppName("web");
  machine.egress = egress;
  CHECK((machine_from(to_json(machine))->egress == egress));
}

TEST_CASE("a policy without one is the internet; a list needs the policy \"list\"") {
  CHECK(egress_policy_from(json::object())->kind == EgressKind::internet);
  const auto refused = egress_policy_from(*json::parse(R"({"policy":"closed","allow":["::/0"]})"));
  REQUIRE(!refused.has_value());
  CHECK(refused.error().context.find("only with the policy \"list\"") != std::string::npos);
  CHECK(!egress_policy_from(*json::parse(R"({"policy":"open"})")).has_value());
}
