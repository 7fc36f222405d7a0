// What the ACME client says, as lines.
#include <doctest/doctest.h>

#include "acme/complaint.h"
#include "acme/hook_line.h"

namespace perigee::acme {

TEST_CASE("the hook's lines are calls, all others are messages") {
  const auto call =
      parse_hook_line("perigee-challenge begin tls-alpn-01 www.example.com tok dGh1bWI");
  REQUIRE((call.has_value() && call->has_value()));
  CHECK((*call)->method == HookCall::Method::begin);
  CHECK((*call)->challenge == model::RouteChallenge{.host = "www.example.com",
                                                    .type = model::ChallengeType::tls_alpn_01,
                                                    .token = "tok",
                                                    .answer = "dGh1bWI"});
  CHECK(parse_hook_line("uacme: creating new order") == std::nullopt);
  CHECK(parse_hook_line("") == std::nullopt);
  const auto dns = parse_hook_line("perigee-challenge begin dns-01 a.example tok x");
  REQUIRE((dns.has_value() && dns->has_value()));
  CHECK((*dns)->challenge == std::nullopt);
  for (const char* wrong :
       {"perigee-challenge", "perigee-challenge begin http-01 a b",
        "perigee-challenge start http-01 a t x", "perigee-challenge begin http-01 a ../../etc x",
        "perigee-challenge begin http-01 a t x y"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_hook_line(wrong).has_value());
  }
}

TEST_CASE("of a failure the authority's own word is shown, else the client's first") {
  CHECK(complaint_of({"uacme: failed to create new order at https://ca/order",
                      "uacme: the server reported the following error:", "{",
                      "    \"type\": \"urn:ietf:params:acme:error:rateLimited\",",
                      "    \"detail\": \"too many certificates\",", "    \"status\": 429", "}"}) ==
        "too many certificates");
  CHECK(complaint_of({"uacme: curl_get: GET https://ca/dir failed: Could not connect",
                      "uacme: failed to fetch directory"}) ==
        "curl_get: GET https://ca/dir failed: Could not connect");
  CHECK(complaint_of({}) == "it said nothing");
  CHECK(complaint_of({std::string("\x1b[2J") + std::string(1000, 'x')}).size() == 400);
  CHECK(complaint_of({"\x1b[2J"}) == " [2J");
}

TEST_CASE("an account that the authority does not know is told from other failures") {
  CHECK(lacks_account({"uacme: no account associated with conf/private/key.pem found at x."}));
  CHECK_FALSE(lacks_account({"uacme: failed to retrieve account at x"}));
}

}  // namespace perigee::acme
