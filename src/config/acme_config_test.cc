// [acme] of perigeed.toml.
#include "config/acme_config.h"

#include <doctest/doctest.h>

#include "config/node_config.h"

namespace perigee::config {
namespace {

constexpr const char* kDirectory = "directory = \"https://ca.example/dir\"\n";

Result<NodeConfig> parse(const std::string& lines) {
  return parse_node_config("[acme]\n" + lines, "perigeed.toml", "h", "/bin");
}

TEST_CASE("an authority is configured by its directory, the rest has defaults") {
  CHECK(parse_node_config("", "f", "h", "/bin")->acme == AcmeConfig());
  const auto config = parse(std::string(kDirectory) +
                            "contact = \"ops@example.com\"\nca = \"/etc/ca.pem\"\n"
                            "challenges = [\"tls-alpn-01\"]\nkeys = [\"rsa\", \"ecdsa\"]\n"
                            "renew_after = \"20s\"\nretry = \"5s\"\nuid = 7\ngid = 8\n");
  REQUIRE_MESSAGE(config.has_value(), config.error().context);
  CHECK(config->acme == AcmeConfig{.directory_url = "https://ca.example/dir",
                                   .contact = "ops@example.com",
                                   .ca_file = "/etc/ca.pem",
                                   .challenges = {model::ChallengeType::tls_alpn_01},
                                   .keys = {"rsa", "ecdsa"},
                                   .renew_after = 20s,
                                   .retry = 5s,
                                   .uid = 7,
                                   .gid = 8});
  CHECK(parse(kDirectory)->acme.challenges.size() == 2);
  CHECK(parse(kDirectory)->acme.ca_file == "/etc/ssl/certs/ca-certificates.crt");
}

TEST_CASE("a wrong authority is refused with file and line") {
  for (const char* wrong :
       {"", "directory = \"http://ca.example\"", "directory = \"https://a\"\ncontact = \"a b\"",
        "directory = \"https://a\"\nchallenges = [\"dns-01\"]",
        "directory = \"https://a\"\nchallenges = []",
        "directory = \"https://a\"\nkeys = [\"ed25519\"]",
        "directory = \"https://a\"\nkeys = [\"rsa\", \"rsa\"]",
        "directory = \"https://a\"\nretry = \"10ms\"", "directory = \"https://a\"\nuid = 0"}) {
    CAPTURE(wrong);
    const auto config = parse(wrong);
    REQUIRE_FALSE(config.has_value());
    CHECK(config.error().context.starts_with("perigeed.toml:"));
  }
}

}  // namespace
}  // namespace perigee::config
