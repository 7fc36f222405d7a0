// Hosts of apps and their certificates: claimed, brought, and got from an authority.
#include "control/certificate_order.h"
#include "control/control_fixture.h"

namespace perigee::control {
namespace {

using model::ChallengeType;

// Asks the question before it issues; what it finds by then in the routes is for tests to look at.
class FakeAuthority : public acme::Client {
 public:
  FakeAuthority(sys::Host& host, store::Store& store) : host_(host), store_(store) {}

  async::Task<Result<std::string>> order(acme::Order order, acme::Prover& prover,
                                         Deadline) override {
    ++orders;
    last = order;
    CO_TRY_VOID(co_await prover.prove(
        {.host = order.host, .type = order.challenge, .token = "tok", .answer = "tok.thumb"}));
    CO_TRY(const store::Listing hosts, co_await store_.list("/hosts/"));
    for (const store::Entry& entry : hosts.entries) {
      asked.push_back(host_record_from(*json::parse(entry.value))->challenge);
    }
    if (!refusal.empty()) co_return fail(Code::unavailable, "{}", refusal);
    co_return crypto::issue_requested(ca_, order.request_pem, {names_other ? "b.test" : order.host},
                                      host_.clock.wall(), 24h);
  }

  int orders = 0;
  acme::Order last;
  std::string refusal;
  bool names_other = false;
  std::vector<std::optional<model::RouteChallenge>> asked;

 private:
  sys::Host& host_;
  store::Store& store_;
  crypto::KeyPair ca_ = *crypto::create_ca("Test authority", host_.clock.wall());
};

struct CertificatesFixture : ControlFixture {
  CertificatesFixture() {
    send(node());
    for (const char* name : {"shop", "blog"}) {
      call("POST", "/v1/apps", fmt::format(R"({{"name": "{}"}})", name));
    }
  }
  void with_authority() {
    fake = std::make_unique<FakeAuthority>(h(), store);
    authority = fake.get();
    config.acme.directory_url = "https://ca.example/dir";
    config.acme.retry = 1s;
    kill();
    start();
    send(node());
  }
  Got add(const std::string& host, const std::string& app = "shop") {
    return call("POST", "/v1/apps/" + app + "/certificates/acme",
                json::object({{"hostname", host}}).dump());
  }
  Got import(const std::string& host, const crypto::KeyPair& pair,
             const std::string& app = "shop") {
    return call("POST", "/v1/apps/" + app + "/certificates/custom",
                json::object({{"hostname", host},
                              {"fullchain", pair.certificate_pem},
                              {"private_key", pair.private_key_pem}})
                    .dump());
  }
  crypto::KeyPair leaf(const std::string& name) { return *crypto::issue(ca, {name}, now(), 90); }
  WallTime now() { return h().clock.wall(); }
  model::AppRoute route(const std::string& app) {
    return *model::app_route_from(routes().values.at("/routes/" + app));
  }
  json::Value show(const std::string& host) {
    return call("GET", "/v1/apps/shop/certificates/" + host).body;
  }
  std::string member(const std::string& host, const char* key) {
    const json::Value shown = show(host);
    const json::Value* found = shown.find(key);
    return found == nullptr ? "" : *found->string();
  }
  static bool says(const Got& got, std::string_view part) {
    return got.text.find(part) != std::string::npos;
  }

  bool says_in_store(std::string_view part) {
    for (const auto& entry : loop().run(store.list("/"))->entries) {
      if (entry.value.find(part) != std::string::npos) return true;
    }
    return false;
  }

  crypto::KeyPair ca = *crypto::create_ca("Some CA", now());
  std::unique_ptr<FakeAuthority> fake;
};

TEST_CASE_FIXTURE(CertificatesFixture, "a certificate that is brought is served, its key sealed") {
  const crypto::KeyPair pair = leaf("www.example.com");
  const Got made = import("WWW.example.com", pair);
  REQUIRE_MESSAGE(made.status == 201, made.text);
  CHECK(*made.body.find("state")->string() == "ready");
  CHECK_FALSE(says(made, "PRIVATE KEY"));
  CHECK_FALSE(says(made, "sealed1:"));
  CHECK(says(made, R"({"type":"CNAME","name":"www.example.com","value":"shop.localhost"})"));
  const model::AppRoute now_there = route("shop");
  CHECK(now_there.hosts == std::vector<std::string>{"shop.localhost", "www.example.com"});
  REQUIRE(now_there.certificates.size() == 2);
  CHECK(now_there.certificates[1].hosts == std::vector<std::string>{"www.example.com"});
  CHECK(now_there.certificates[1].chain_pem == pair.certificate_pem);
  const auto opened = keys->ring()
                          .keys_of(secrets::Kind::certificate_key)
                          .open("www.example.com", now_there.certificates[1].private_key);
  CHECK(opened == pair.private_key_pem);
  CHECK(call("DELETE", "/v1/apps/shop/certificates/www.example.com/custom").status == 200);
  CHECK(route("shop").certificates.size() == 1);
  CHECK(member("www.example.com", "state") == "missing");
  CHECK(call("DELETE", "/v1/apps/shop/certificates/www.example.com").status == 200);
  CHECK(route("shop").hosts.size() == 1);
  CHECK(call("GET", "/v1/apps/shop/certificates/www.example.com").status == 404);
}

TEST_CASE_FIXTURE(CertificatesFixture, "a host is the first app's that claims it") {
  REQUIRE(import("www.example.com", leaf("www.example.com")).status == 201);
  const Got second = import("www.example.com", leaf("www.example.com"), "blog");
  CHECK(second.status == 409);
  CHECK(says(second, "is app shop's"));
  CHECK(import("*.example.com", leaf("*.example.com"), "blog").status == 201);
  CHECK(call("DELETE", "/v1/apps/blog/certificates/www.example.com").status == 404);
  CHECK(call("DELETE", "/v1/apps/shop").status == 202);  // with what it had
  CHECK(import("www.example.com", leaf("www.example.com"), "blog").status == 201);
  CHECK(call("GET", "/v1/apps/blog/certificates").body.find("certificates")->items().size() == 2);
}

TEST_CASE_FIXTURE(CertificatesFixture, "what can't be is refused with the next step") {
  CHECK(says(import("www.localhost", leaf("www.localhost")), "below localhost"));
  CHECK(says(import("*.shop.localhost", leaf("*.shop.localhost")), "below localhost"));
  CHECK(says(import("bücher.example", leaf("a.test")), "xn--"));
  CHECK(import("b.example.com", leaf("a.example.com")).status == 400);
  CHECK(import("a.example.com", leaf("a.example.com"), "none").status == 404);
  CHECK(says(add("www.example.com"), "perigee certs import www.example.com"));
  CHECK(call("GET", "/v1/apps/shop/certificates").body.find("certificates")->items().empty());
  with_authority();
  CHECK(says(add("*.example.com"), "DNS challenges only"));
}

TEST_CASE_FIXTURE(CertificatesFixture, "an authority's question is in the routes before it asks") {
  with_authority();
  REQUIRE(add("www.example.com").status == 201);
  REQUIRE(eventually([&] { return member("www.example.com", "state") == "ready"; }));
  REQUIRE(fake->asked.size() == 1);
  CHECK(fake->asked[0] == model::RouteChallenge{.host = "www.example.com",
                                                .type = ChallengeType::http_01,
                                                .token = "tok",
                                                .answer = "tok.thumb"});
  CHECK(route("shop").challenges.empty());
  CHECK(route("shop").certificates.size() == 2);
  CHECK(says(call("GET", "/v1/apps/shop/certificates/www.example.com"), "Test authority"));
  CHECK(fake->orders == 1);
  CHECK(fake->last.account_key.starts_with("-----BEGIN"));
  CHECK_FALSE(says_in_store("-----BEGIN EC PRIVATE"));
  CHECK_FALSE(says_in_store("-----BEGIN PRIVATE"));
  const std::string account = fake->last.account_key;
  REQUIRE(add("b.example.com").status == 201);
  REQUIRE(eventually([&] { return member("b.example.com", "state") == "ready"; }));
  CHECK(fake->last.account_key == account);
}

TEST_CASE_FIXTURE(CertificatesFixture, "a refused order is told, and placed again another way") {
  with_authority();
  fake->refusal = "no valid A records found";
  REQUIRE(add("www.example.com").status == 201);
  REQUIRE(eventually([&] { return member("www.example.com", "state") == "failing"; }));
  CHECK(member("www.example.com", "last_error") == "by http-01: no valid A records found");
  CHECK_FALSE(member("www.example.com", "next_order_at").empty());
  fake->refusal.clear();
  REQUIRE(call("POST", "/v1/apps/shop/certificates/www.example.com/check").status == 200);
  REQUIRE(eventually([&] { return member("www.example.com", "state") == "ready"; }));
  CHECK(fake->last.challenge == ChallengeType::tls_alpn_01);
  CHECK(member("www.example.com", "last_error").empty());
}

TEST_CASE_FIXTURE(CertificatesFixture, "what an authority sends for another host is not served") {
  with_authority();
  fake->names_other = true;
  REQUIRE(add("www.example.com").status == 201);
  REQUIRE(eventually([&] { return member("www.example.com", "state") == "failing"; }));
  CHECK(member("www.example.com", "last_error").find("it is not for www.example.com") !=
        std::string::npos);
  CHECK(route("shop").certificates.size() == 1);
}

TEST_CASE_FIXTURE(CertificatesFixture, "certificates are renewed, and both kinds of key are had") {
  config.acme.renew_after = 1s;
  config.acme.keys = {"ecdsa", "rsa"};
  with_authority();
  REQUIRE(add("www.example.com").status == 201);
  REQUIRE(eventually([&] { return fake->orders >= 4; }));
  CHECK(route("shop").certificates.size() == 3);
}

TEST_CASE_FIXTURE(CertificatesFixture, "a host that is given up gets no certificate any more") {
  with_authority();
  fake->refusal = "later";
  REQUIRE(add("www.example.com").status == 201);
  REQUIRE(eventually([&] { return !fake->asked.empty(); }));
  CHECK(call("DELETE", "/v1/apps/shop/certificates/www.example.com").status == 200);
  pass(1500ms);
  CHECK(call("GET", "/v1/apps/shop/certificates").body.find("certificates")->items().empty());
  CHECK(route("shop").challenges.empty());
}

TEST_CASE_FIXTURE(CertificatesFixture, "a rotation of the ring takes hosts and account along") {
  with_authority();
  REQUIRE(add("www.example.com").status == 201);
  REQUIRE(eventually([&] { return member("www.example.com", "state") == "ready"; }));
  const std::string before = keys->ring().primary();
  REQUIRE(call("POST", "/v1/keys/rotate").status == 202);
  CHECK(eventually([&] { return keys->ring().key_ids().size() == 1; }));  // the old one is retired
  CHECK_FALSE(says_in_store("sealed1:" + before));
  CHECK(route("shop").certificates.size() == 2);
}

}  // namespace
}  // namespace perigee::control
