// Log-ins at registries over the public API: write-only, sealed, used and rotated.
#include "control/registry_api.h"

#include "control/control_fixture.h"

namespace perigee::control {
namespace {

constexpr const char* kBody = R"({"username": "me", "password": "s3cr3t"})";
constexpr const char* kMachine = R"({"config": {"image": "127.0.0.1:5000/team/app:v1"}})";

struct RegistryFixture : ControlFixture {
  RegistryFixture() {
    send(node());
    REQUIRE(call("POST", "/v1/apps", R"({"app_name": "hello"})").status == 201);
  }
  std::string stored() {
    const auto entries = loop().run(store.list("/registries/"))->entries;
    REQUIRE(entries.size() == 1);
    return entries[0].value;
  }
  std::string sealed() {
    return model::registry_login_from(*json::parse(stored()))->sealed_password;
  }
};

TEST_CASE_FIXTURE(RegistryFixture, "a log-in is set, shown by its digest, and removed") {
  const std::string path = "/v1/registries/127.0.0.1:5000";
  CHECK(call("GET", path).status == 404);
  const Got made = call("PUT", path, kBody);
  REQUIRE_MESSAGE(made.status == 200, made.text);
  const Got shown = call("GET", path);
  CHECK(shown.body.require_string("username") == "me");
  CHECK(shown.body.require_string("digest")->size() == 16);
  for (const std::string& text :
       {made.text, shown.text, call("GET", "/v1/registries").text, stored()})
    CHECK(text.find("s3cr3t") == std::string::npos);
  CHECK(shown.text.find("sealed1:") == std::string::npos);
  const Got other = call("PUT", path, R"({"username": "me", "password": "0ther"})");
  CHECK(other.body.require_string("digest") != shown.body.require_string("digest"));
  CHECK(call("DELETE", path).status == 200);
  CHECK(call("GET", "/v1/registries").body.find("registries")->items().empty());
}

TEST_CASE_FIXTURE(RegistryFixture, "what is no registry, user name or password is refused") {
  for (const char* path :
       {"/v1/registries/app", "/v1/registries/-x.io", "/v1/registries/a.io%2Fb"}) {
    CAPTURE(path);
    CHECK(call("PUT", path, kBody).status == 400);
  }
  for (const char* body :
       {"{}", R"({"username": "me"})", R"({"username": "a:b", "password": "x"})",
        R"({"username": "me", "password": ""})", R"({"username": "me", "password": "a\nb"})"}) {
    CAPTURE(body);
    CHECK(call("PUT", "/v1/registries/ghcr.io", body).status == 400);
  }
  CHECK(call("PUT", "/v1/registries/index.docker.io", kBody).body.require_string("registry") ==
        "docker.io");
}

TEST_CASE_FIXTURE(RegistryFixture, "an image is resolved with its registry's log-in, if any") {
  CHECK(call("POST", "/v1/apps/hello/machines", kMachine).status == 200);
  CHECK(images.last_login.empty());
  REQUIRE(call("PUT", "/v1/registries/127.0.0.1:5000", kBody).status == 200);
  CHECK(call("POST", "/v1/apps/hello/machines", kMachine).status == 200);
  CHECK(images.last_login == image::Login{"me", "s3cr3t"});
  CHECK(call("POST", "/v1/apps/hello/machines", R"({"config": {"image": "nginx:1"}})").status ==
        200);
  CHECK(images.last_login.empty());
}

TEST_CASE_FIXTURE(RegistryFixture, "a rotation seals passwords anew") {
  REQUIRE(call("PUT", "/v1/registries/ghcr.io", kBody).status == 200);
  CHECK(call("POST", "/v1/keys/rotate").status == 202);
  CHECK(eventually([&] { return keys->ring().is_current(sealed()); }));
  CHECK(*keys->ring().open({secrets::Kind::registry_password, "ghcr.io"}, sealed()) == "s3cr3t");
  CHECK(eventually([&] { return keys->ring().key_ids().size() == 1; }));
}

}  // namespace
}  // namespace perigee::control
