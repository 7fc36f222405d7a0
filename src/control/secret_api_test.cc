#include <doctest/doctest.h>

#include "control/control_fixture.h"
#include "control/limits.h"
#include "control/secret_api.h"

namespace perigee::control {
namespace {

std::string text(const json::Value& value, const char* key) {
  const json::Value* member = value.find(key);
  return member == nullptr || member->string() == nullptr ? "" : *member->string();
}

struct WithApp : ControlFixture {
  WithApp() {
    send(node());
    CHECK(call("POST", "/v1/apps", R"({"app_name": "hello"})").status == 201);
  }
  Got set(std::string body) { return call("POST", "/v1/apps/hello/secrets", std::move(body)); }
  std::string digest_of(const std::string& name) {
    return text(call("GET", "/v1/apps/hello/secrets/" + name).body, "digest");
  }
  // Everything in the store, as text.
  std::string whole_store() {
    std::string all;
    for (const auto& entry : loop().run(store.list("/"))->entries)
      all += entry.key + " " + entry.value + "\n";
    return all;
  }
  model::Machine only_machine() {
    const auto found = loop().run(store.list("/machines/"));
    REQUIRE(found->entries.size() == 1);
    return *model::machine_from(*json::parse(found->entries.front().value));
  }
};

TEST_CASE_FIXTURE(WithApp, "secrets are set, listed by digest, replaced and removed") {
  const Got made = set(R"({"values": {"PASSWORD": "hunter2", "URL": "pg://x"}})");
  REQUIRE(made.status == 200);
  CHECK(made.body.find("secrets")->items().size() == 2);
  const std::string digest = digest_of("PASSWORD");
  CHECK(digest.size() == 16);
  CHECK(set(R"({"values": {"PASSWORD": "hunter2"}})").status == 200);
  CHECK(digest_of("PASSWORD") == digest);
  CHECK(call("POST", "/v1/apps/hello/secrets/PASSWORD", R"({"value": "other"})").status == 200);
  CHECK(digest_of("PASSWORD") != digest);
  CHECK(call("DELETE", "/v1/apps/hello/secrets/PASSWORD").status == 200);
  CHECK(call("GET", "/v1/apps/hello/secrets/PASSWORD").status == 404);
  CHECK(call("DELETE", "/v1/apps/hello/secrets/PASSWORD").status == 404);
  CHECK(set(R"({"values": {"URL": null, "NEW": "1"}})").status == 200);
  const Got left = call("GET", "/v1/apps/hello/secrets");
  REQUIRE(left.body.find("secrets")->items().size() == 1);
  CHECK(text(left.body.find("secrets")->items().front(), "name") == "NEW");
}

TEST_CASE_FIXTURE(WithApp, "no answer and nothing in the store holds a value") {
  const Got made = set(R"({"values": {"PASSWORD": "hunter2hunter2"}})");
  CHECK(call("POST", "/v1/apps/hello/machines", R"({"config": {"image": "hello:1"}})").status ==
        200);
  std::string shown = made.text;
  for (const char* path : {"/v1/apps/hello/secrets", "/v1/apps/hello/secrets/PASSWORD",
                           "/v1/apps/hello", "/v1/apps/hello/machines"})
    shown += call("GET", path).text;
  CHECK(shown.find("hunter2") == std::string::npos);
  CHECK(shown.find("sealed1:") == std::string::npos);
  CHECK(whole_store().find("PASSWORD") != std::string::npos);  // it is the right place to look
  CHECK(whole_store().find("hunter2") == std::string::npos);
}

TEST_CASE_FIXTURE(WithApp, "a machine takes the secrets of its version, sealed for its app") {
  CHECK(set(R"({"values": {"PASSWORD": "first"}})").status == 200);
  CHECK(call("POST", "/v1/apps/hello/machines", R"({"config": {"image": "hello:1"}})").status ==
        200);
  const auto value = [&] {
    const model::Machine machine = only_machine();
    REQUIRE(machine.secrets.size() == 1);
    CHECK(machine.secrets.front().first == "PASSWORD");
    return *keys->ring().open({secrets::Kind::app_secret, "hello/PASSWORD"},
                              machine.secrets.front().second);
  };
  CHECK(value() == "first");
  CHECK(set(R"({"values": {"PASSWORD": "second"}})").status == 200);
  CHECK(value() == "first");  // staged
  CHECK(call("POST", "/v1/apps/hello/machines/" + only_machine().id.str(),
             R"({"config": {"image": "hello:1"}})")
            .status == 200);
  CHECK(value() == "second");
}

TEST_CASE_FIXTURE(WithApp, "a redeploy is a release of what serves, with the secrets as they are") {
  const auto redeploy = [&] {
    return call("POST", "/v1/apps/hello/releases", R"({"redeploy": true})");
  };
  CHECK(redeploy().status == 409);  // nothing serves
  CHECK(call("POST", "/v1/apps/hello/releases", kHello).status == 202);
  CHECK(eventually([&] { return machines("hello").items().size() == 1; }));
  CHECK(only_machine().secrets.empty());
  CHECK(eventually([&] {
    work();
    return release_status("hello", 1) == "succeeded";
  }));
  CHECK(set(R"({"values": {"PASSWORD": "hunter2"}})").status == 200);
  CHECK(redeploy().status == 202);
  CHECK(eventually([&] {
    work();
    return release_status("hello", 2) == "succeeded";
  }));
  CHECK(eventually([&] {
    work();
    return loop().run(store.list("/machines/"))->entries.size() == 1;
  }));
  const model::Machine machine = only_machine();
  CHECK(machine.release == 2);
  REQUIRE(machine.secrets.size() == 1);
  CHECK(machine.config.image == "hello:1");
  CHECK(machine.image.digest == "sha256:" + std::string(64, 'a'));
}

TEST_CASE_FIXTURE(WithApp, "secrets of an app go with it") {
  CHECK(set(R"({"values": {"PASSWORD": "hunter2"}})").status == 200);
  CHECK(call("DELETE", "/v1/apps/hello").status == 202);
  CHECK(whole_store().find("/secrets/") == std::string::npos);
  CHECK(call("GET", "/v1/apps/hello/secrets").status == 404);
  CHECK(set(R"({"values": {"PASSWORD": "hunter2"}})").status == 404);
}

TEST_CASE_FIXTURE(WithApp, "a bad change is refused as a whole, and its error shows no value") {
  const auto error = [&](const std::string& body) {
    const Got got = set(body);
    CHECK_MESSAGE(got.status == 400, body);
    CHECK(got.text.find("hunter2") == std::string::npos);
    return text(got.body, "error");
  };
  CHECK(error("{}").find("values") == 0);
  CHECK(error(R"({"values": {}})").find("values") == 0);
  CHECK(error(R"({"values": {"GOOD": "hunter2", "not good": "hunter2"}})").find("name") !=
        std::string::npos);
  CHECK(error(R"({"values": {"FLY_X": "hunter2"}})").find("FLY_X") != std::string::npos);
  CHECK(error(R"({"values": {"X": 5}})").find("X") != std::string::npos);
  CHECK(error(R"({"values": {"X": "hunter2\u0000"}})").find("X") != std::string::npos);
  CHECK(error(R"({"values": {"X": "hunter2)").find("not valid JSON") != std::string::npos);
  CHECK(error(R"({"values": {"X": ")" + std::string(kMaxSecretBytes + 1, 'h') + "\"}}")
            .find("at most") != std::string::npos);
  CHECK(call("GET", "/v1/apps/hello/secrets").body.find("secrets")->items().empty());
}

TEST_CASE_FIXTURE(WithApp, "an app has so many secrets and no more") {
  json::Value values = json::object();
  for (std::size_t i = 0; i <= kMaxSecrets; ++i) values.set(fmt::format("NAME_{}", i), "x");
  CHECK(set(json::object({{"values", values}}).dump()).status == 400);
  values.set("NAME_0", nullptr);
  CHECK(set(json::object({{"values", values}}).dump()).status == 404);  // it was never set
  json::Value large = json::object();
  for (int i = 0; i < 6; ++i)
    large.set(fmt::format("NAME_{}", i), std::string(kMaxSecretBytes, 'x'));
  CHECK(set(json::object({{"values", large}}).dump()).status == 400);
}

TEST_CASE("the names of secrets are those of environment variables") {
  for (const char* good : {"A", "_", "a1", "DATABASE_URL", "FLYING", "PERIGEE"})
    CHECK_MESSAGE(check_secret_name(good).has_value(), good);
  for (const std::string bad : {"", "1A", "A-B", "A B", "A=B", "Ä", "FLY_APP", "PERIGEE_X"})
    CHECK_MESSAGE(!check_secret_name(bad).has_value(), bad);
  CHECK_FALSE(check_secret_name(std::string(kMaxSecretName + 1, 'A')).has_value());
}

}  // namespace
}  // namespace perigee::control
