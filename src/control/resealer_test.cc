#include "control/resealer.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include "control/control_fixture.h"

namespace perigee::control {
namespace {

const secrets::Place kPlace{secrets::Kind::app_secret, "hello/PASSWORD"};

struct WithSecret : ControlFixture {
  WithSecret() {
    send(node());
    CHECK(call("POST", "/v1/apps", R"({"app_name": "hello"})").status == 201);
    CHECK(call("POST", "/v1/apps/hello/secrets", R"({"values": {"PASSWORD": "hunter2"}})").status ==
          200);
    CHECK(call("POST", "/v1/apps/hello/machines", R"({"config": {"image": "hello:1"}})").status ==
          200);
  }
  // Every sealed text that is kept.
  std::vector<std::string> sealed() {
    std::vector<std::string> out;
    for (const auto& entry : loop().run(store.list("/"))->entries) {
      for (std::size_t at = entry.value.find("sealed1:"); at != std::string::npos;
           at = entry.value.find("sealed1:", at + 1))
        out.push_back(entry.value.substr(at, entry.value.find('"', at) - at));
    }
    std::ifstream file(directory + "/ca.key");
    out.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    return out;
  }
  bool all_current() {
    for (const std::string& text : sealed()) {
      if (!keys->ring().is_current(text)) return false;
    }
    return true;
  }
  model::NodeReport holding(const std::string& key) {
    model::NodeReport report = node();
    report.sealing_keys = {key};
    return report;
  }
  std::size_t key_count() { return call("GET", "/v1/keys").body.find("keys")->items().size(); }
};

TEST_CASE_FIXTURE(WithSecret, "a rotation seals everything anew and retires the old key") {
  REQUIRE(sealed().size() == 4);  // secret, the machine's copy, certificate's key, CA's key
  const std::string old_key = keys->ring().primary();
  CHECK(call("POST", "/v1/keys/rotate").status == 202);
  CHECK(keys->ring().primary() != old_key);
  CHECK(eventually([&] { return all_current(); }));
  CHECK(sealed().size() == 4);
  CHECK(eventually([&] { return key_count() == 1; }));
  for (const auto& [name, text] :
       model::machine_from(
           *json::parse(loop().run(store.list("/machines/"))->entries.front().value))
           ->secrets)
    CHECK(*keys->ring().open(kPlace, text) == "hunter2");
  const auto reopened =
      loop().run(Certificates::open(h(), *keys, directory + "/ca.pem", directory + "/ca.key"));
  CHECK(reopened.has_value());
}

TEST_CASE_FIXTURE(WithSecret, "a key that a node still needs is kept") {
  const std::string old_key = keys->ring().primary();
  send(holding(old_key));
  CHECK(call("POST", "/v1/keys/rotate").status == 202);
  CHECK(eventually([&] { return all_current(); }));
  pass(1500ms);  // longer than an unused key has, and than the pause between looks
  CHECK(key_count() == 2);
  send(holding(keys->ring().primary()));
  CHECK(eventually([&] { return key_count() == 1; }));
}

TEST_CASE_FIXTURE(WithSecret, "a rotation that control dies in is finished by the next one") {
  for (int commits = 0; commits < 3; ++commits) {
    for (const auto last : {StallingStore::Last::applied, StallingStore::Last::dropped}) {
      store.stall_after(0, last);
      CHECK(call("POST", "/v1/keys/rotate").status == 202);
      CHECK(eventually([&] { return store.stalled(); }));
      kill();
      store.resume();
      start();
      send(node());
      CHECK(eventually([&] { return all_current() && key_count() == 1; }));
      CHECK(call("GET", "/v1/apps/hello/secrets/PASSWORD").status == 200);
    }
  }
}

TEST_CASE_FIXTURE(WithSecret, "a CA's key that an earlier version left in the clear is sealed") {
  std::ifstream file(directory + "/ca.key");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::string pem = *keys->ring().open({secrets::Kind::ca_key, "ca"}, text);
  CHECK(pem.starts_with("-----BEGIN"));
  std::ofstream(directory + "/ca.key") << pem;
  REQUIRE(loop()
              .run(Certificates::open(h(), *keys, directory + "/ca.pem", directory + "/ca.key"))
              .has_value());
  CHECK(keys->ring().is_current(sealed().back()));
}

TEST_CASE_FIXTURE(WithSecret,
                  "a certificate that an earlier version kept in the clear is renewed") {
  const std::string key = "/certs/hello.localhost";
  store::Transaction transaction;
  transaction.put(key, R"({"certificate_pem": "x", "private_key_pem": "clear", "ca": "y"})");
  REQUIRE(loop().run(store.commit(std::move(transaction))).has_value());
  kill();
  start();
  CHECK(eventually([&] {
    const std::string value = (*loop().run(store.get(key)))->value;
    return value.find("clear") == std::string::npos && value.find("sealed1:") != std::string::npos;
  }));
}

TEST_CASE_FIXTURE(WithSecret, "the internal API gives out what opens certificates, nothing else") {
  auto got =
      loop().run(ask(client, internal_address, request("GET", "/internal/v1/keys/certificate-key"),
                     {}, loop().deadline_in(5s)));
  REQUIRE(got.has_value());
  const auto opener = secrets::KindKeys::from(secrets::Kind::certificate_key, got->body);
  REQUIRE(opener.has_value());
  const auto record = certificate_record_from(
      *json::parse((*loop().run(store.get("/certs/hello.localhost")))->value));
  CHECK(opener->open("hello.localhost", record->private_key)->starts_with("-----BEGIN"));
  const auto secret =
      secret_record_from(*json::parse((*loop().run(store.get("/secrets/hello/PASSWORD")))->value));
  CHECK_FALSE(opener->open("hello/PASSWORD", secret->sealed).has_value());
}

}  // namespace
}  // namespace perigee::control
