// Leases, metadata, versions, filters, events and schedules over the public API.
#include <doctest/doctest.h>

#include "control/control_fixture.h"
#include "control/lease_api.h"
#include "control/limits.h"

namespace perigee::control {
namespace {

TEST_CASE("a lease keeps others out while it lasts, and names its holder") {
  const LeaseRecord lease{"n1", "someone", "a deploy", "v1", WallTime{1'000'000'000}};
  const MachineId id("m1");
  const WallTime during{999'999'999};
  const WallTime after{1'000'000'000};
  CHECK(check_lease(nullptr, id, "", during).has_value());
  CHECK(check_lease(&lease, id, "n1", during).has_value());
  CHECK(check_lease(&lease, id, "", after).has_value());
  for (const char* nonce : {"", "n2"}) {
    const auto refused = check_lease(&lease, id, nonce, during);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Code::conflict);
    CHECK(refused.error().context ==
          "machine m1 is leased by someone (a deploy) until 1970-01-01T00:00:01.000Z; wait for "
          "that, or give the lease's nonce in perigee-machine-lease-nonce");
  }
  CHECK(check_lease(&lease, id, "n1", after).error().context ==
        "machine m1 has no lease now: the one with this nonce has ended");
  CHECK_FALSE(check_lease(nullptr, id, "n1", during).has_value());
}

struct WithMachine : ControlFixture {
  WithMachine() {
    send(node());
    REQUIRE(call("POST", "/v1/apps", R"({"app_name": "hello"})").status == 201);
    id = make("");
    work();
  }
  std::string make(const std::string& extra) {
    const Got got =
        call("POST", "/v1/apps/hello/machines", R"({"config": {"image": "hello:1")" + extra + "}}");
    REQUIRE_MESSAGE(got.status == 200, got.text);
    return *got.body.find("id")->string();
  }
  std::string path(const std::string& rest) { return "/v1/apps/hello/machines/" + id + rest; }
  int with_nonce(std::string method, const std::string& rest, const std::string& nonce,
                 const char* header = "fly-machine-lease-nonce") {
    http::RequestHead head = request(std::move(method), path(rest));
    head.headers.set(header, nonce);
    const auto got = loop().run(ask(client, api_address, head, {}, loop().deadline_in(20s)));
    REQUIRE(got.has_value());
    return got->status;
  }
  std::string data(const Got& got, std::string_view key) {
    return *got.body.find("data")->find(key)->string();
  }
  std::string id;
};

TEST_CASE_FIXTURE(WithMachine, "a lease is taken, prolonged, obeyed and released") {
  CHECK(call("GET", path("/lease")).status == 404);
  const Got taken = call("POST", path("/lease?ttl=60"), R"({"description": "by hand"})");
  CHECK(taken.status == 200);
  const std::string nonce = data(taken, "nonce");
  CHECK(data(call("GET", path("/lease")), "nonce") == nonce);
  CHECK(call("POST", path("/lease"), "{}").status == 409);
  for (const char* rest : {"/stop", "/start", "/suspend", "/restart", "/cordon", "/uncordon"}) {
    CAPTURE(rest);
    CHECK(call("POST", path(rest)).status == 409);
    CHECK(with_nonce("POST", rest, "another") == 409);
  }
  CHECK(call("DELETE", path("?force=true")).status == 409);
  CHECK(call("POST", path("/metadata/a"), R"({"value": "b"})").status == 409);
  CHECK(call("POST", path(""), R"({"config": {"image": "hello:2"}})").status == 409);
  CHECK(call("GET", path("")).status == 200);
  const std::string release = R"({"image": "hello:2", "config": {}})";
  const Got deploy = call("POST", "/v1/apps/hello/releases", release);
  CHECK(deploy.status == 409);
  CHECK(deploy.text.find("a deploy would replace it: machine") != std::string::npos);
  CHECK(with_nonce("POST", "/cordon", nonce) == 200);
  CHECK(with_nonce("POST", "/uncordon", nonce, "perigee-machine-lease-nonce") == 200);
  CHECK(with_nonce("POST", "/lease?ttl=120", nonce) == 200);
  CHECK(data(call("GET", path("/lease")), "description") == "by hand");
  kill();  // a lease outlives control
  start();
  send(node());
  CHECK(call("POST", path("/cordon")).status == 409);
  CHECK(call("DELETE", path("/lease")).status == 409);
  CHECK(with_nonce("DELETE", "/lease", nonce) == 200);
  CHECK(call("POST", path("/cordon")).status == 200);
  CHECK(with_nonce("POST", "/cordon", nonce) == 409);  // it has ended
  CHECK(call("POST", path("/lease?ttl=0")).status == 400);
  CHECK(call("POST", path("/lease?ttl=1")).status == 200);
  CHECK(eventually([&] { return call("POST", path("/cordon")).status == 200; }));
}

TEST_CASE_FIXTURE(WithMachine, "no lease is given while a deploy goes on") {
  const std::string release = R"({"image": "hello:2", "config": {}})";
  REQUIRE(call("POST", "/v1/apps/hello/releases", release).status == 202);
  const Got refused = call("POST", path("/lease"), "{}");
  CHECK(refused.status == 409);
  CHECK(refused.text.find("is being deployed (v1)") != std::string::npos);
}

TEST_CASE_FIXTURE(WithMachine, "metadata changes without a new version, and selects machines") {
  const std::string other = make(R"(, "metadata": {"role": "db"})");
  const std::string version = *call("GET", path("")).body.find("instance_id")->string();
  CHECK(call("POST", path("/metadata/role"), R"({"value": "web"})").status == 204);
  CHECK(call("POST", path("/metadata/team"), R"({"value": "a b"})").status == 204);
  CHECK(call("GET", path("/metadata")).body == json::object({{"role", "web"}, {"team", "a b"}}));
  CHECK(*call("GET", path("")).body.find("instance_id")->string() == version);
  const auto count = [&](const char* query) {
    return call("GET", std::string("/v1/apps/hello/machines?") + query).body.items().size();
  };
  CHECK(count("") == 2);
  CHECK(count("metadata.role=web") == 1);
  CHECK(count("metadata.team=a%20b&region=iad") == 1);
  CHECK(count("metadata.role=web&region=fra") == 0);
  CHECK(count("state=started") == 1);
  CHECK(call("DELETE", path("/metadata/role")).status == 204);
  CHECK(call("DELETE", path("/metadata/role")).status == 404);
  CHECK(count("metadata.role=web") == 0);
  CHECK(call("POST", path("/metadata/x"), R"({"value": 5})").status == 400);
  CHECK(call("DELETE", "/v1/apps/hello/machines/" + other + "?force=1").status == 200);
  CHECK(count("") == 1);
  CHECK(count("include_deleted=true") == 2);
}

TEST_CASE_FIXTURE(WithMachine, "versions are kept, newest first, and go with the machine") {
  const auto images = [&] {
    std::string out;
    for (const json::Value& each : call("GET", path("/versions")).body.items())
      out += *each.find("user_config")->find("image")->string() + " ";
    return out;
  };
  CHECK(images() == "hello:1 ");
  for (int i = 2; i < 13; ++i) {
    const std::string body = fmt::format(R"({{"config": {{"image": "hello:{}"}}}})", i);
    REQUIRE(call("POST", path(""), body).status == 200);
  }
  CHECK(images().starts_with("hello:12 hello:11 "));
  CHECK(call("GET", path("/versions")).body.items().size() == kKeptVersions);
  CHECK(call("DELETE", path("?force=1")).status == 200);
  work();
  CHECK(eventually([&] { return loop().run(store.list("/versions/"))->entries.empty(); }));
}

TEST_CASE_FIXTURE(WithMachine, "events have ids that stay, and come in a number") {
  work([](const model::Machine&, model::MachineStatus& status) {
    for (const char* type : {"launch", "start", "exit"})
      status.events.push_back({type, "started", "user", WallTime{5'000'000}, std::nullopt});
  });
  const json::Value all = call("GET", path("/events")).body;
  REQUIRE(all.items().size() == 3);
  CHECK(*all.items()[0].find("id")->string() == "5-0");
  CHECK(*all.items()[2].find("id")->string() == "5-2");
  const json::Value last = call("GET", path("/events?limit=1")).body;
  REQUIRE(last.items().size() == 1);
  CHECK(last.items()[0] == all.items()[2]);
  CHECK(call("GET", path("/events?limit=x")).status == 400);
}

TEST_CASE_FIXTURE(WithMachine, "a machine whose slot was missed is started once") {
  const auto stored = [&] {
    return *model::machine_from(*json::parse((*loop().run(store.get("/machines/" + id)))->value));
  };
  CHECK(call("POST", path("/stop")).status == 200);
  work();
  kill();
  model::Machine machine = stored();
  machine.config.schedule = model::Schedule::hourly;
  machine.created_at = h().clock.wall() + -Duration(150min);
  store::Transaction transaction;
  transaction.put("/machines/" + id, model::to_json(machine).dump());
  REQUIRE(loop().run(store.commit(std::move(transaction))).has_value());
  start();
  work();
  CHECK(eventually([&] { return stored().desired == model::DesiredState::started; }));
  CHECK(stored().origin == model::Origin::schedule);
  CHECK(stored().scheduled_at == machine.created_at + 2h);
  CHECK(call("POST", path("/stop")).status == 200);
  work();
  kill();  // nor does another control start it again
  start();
  work();
  pass(1500ms);
  CHECK(stored().desired == model::DesiredState::stopped);
}

}  // namespace
}  // namespace perigee::control
