// The public API over real loopback sockets, with a MemoryStore and reports made by hand.
#include <doctest/doctest.h>

#include "control/control_fixture.h"

namespace perigee::control {
namespace {

const std::string& text(const json::Value& value, std::string_view key) {
  static const std::string kNone = "(none)";
  const json::Value* found = value.find(key);
  return found == nullptr || !found->is_string() ? kNone : *found->string();
}

struct WithApp : ControlFixture {
  WithApp() {
    send(node());
    REQUIRE(call("POST", "/v1/apps", R"({"app_name": "hello"})").status == 201);
  }
  std::string create(const std::string& extra = "") {
    const Got got = call("POST", "/v1/apps/hello/machines",
                         R"({"config": {"image": "hello:1", "services": [{"internal_port": 80,
                             "ports": [{"port": 80, "handlers": ["http"]}]}]})" +
                             extra + "}");
    REQUIRE(got.status == 200);
    return text(got.body, "id");
  }
  std::string path(const std::string& id, const std::string& rest = "") {
    return "/v1/apps/hello/machines/" + id + rest;
  }
};

TEST_CASE_FIXTURE(ControlFixture, "apps are created, listed, shown and destroyed") {
  const Got made = call("POST", "/v1/apps", R"({"app_name": "hello", "org_slug": "personal"})");
  CHECK(made.status == 201);
  CHECK(text(made.body, "id").size() == 16);
  CHECK(text(made.body, "hostname") == "hello.localhost");
  const Got taken = call("POST", "/v1/apps", R"({"name": "hello"})");
  CHECK(taken.status == 422);
  CHECK(text(taken.body, "status") == "already_exists");
  CHECK(call("POST", "/v1/apps", R"({"name": "Not A Name"})").status == 400);
  CHECK(call("POST", "/v1/apps", R"({"name": 7})").status == 400);
  CHECK(call("POST", "/v1/apps", "{}").status == 400);
  CHECK(call("POST", "/v1/apps", R"({"name": "x", "org_slug": "acme"})").status == 400);

  const Got list = call("GET", "/v1/apps");
  CHECK(list.body.find("total_apps")->integer() == 1);
  CHECK(text(list.body.find("apps")->items()[0], "name") == "hello");
  CHECK(text(call("GET", "/v1/apps/hello").body, "status") == "pending");
  CHECK(call("DELETE", "/v1/apps/hello").status == 202);
  const Got gone = call("GET", "/v1/apps/hello");
  CHECK(gone.status == 404);
  CHECK(text(gone.body, "error") == "app \"hello\" does not exist; create it first");
  CHECK(call("GET", "/v1/apps").body.find("total_apps")->integer() == 0);
}

TEST_CASE_FIXTURE(ControlFixture, "health needs no token, everything else does") {
  http::RequestHead head{.method = "GET", .target = "/healthz"};
  head.headers.set("Host", "x");
  CHECK(loop().run(ask(client, api_address, head, {}, loop().deadline_in(5s)))->status == 200);
  for (const char* target : {"/v1/apps", "/v1/nodes", "/v1/apps/x/machines", "/v1/apps/x/logs"}) {
    head.target = target;
    CHECK(loop().run(ask(client, api_address, head, {}, loop().deadline_in(5s)))->status == 401);
  }
}

TEST_CASE_FIXTURE(ControlFixture, "nodes are shown with what they reported") {
  CHECK(call("GET", "/v1/nodes").body.find("nodes")->items().empty());
  send(node());
  const json::Value shown = call("GET", "/v1/nodes").body.find("nodes")->items()[0];
  CHECK(text(shown, "name") == "n1");
  CHECK(text(shown, "region") == "iad");
  CHECK(text(shown, "state") == "ready");
  CHECK(text(shown, "accelerator") == "tcg");
  CHECK(shown.find("memory_mib")->integer() == 4096);
}

TEST_CASE_FIXTURE(WithApp, "a machine's JSON is the Machines API's") {
  const std::string id = create(R"(, "name": "web")");
  CHECK(id.size() == 14);
  json::Value shown = call("GET", path(id)).body;
  CHECK(text(shown, "instance_id").size() == 26);
  // What differs from run to run is put aside; the rest is golden.
  for (const char* key : {"id", "instance_id", "created_at", "updated_at"}) shown.set(key, "*");
  CHECK(
      shown.dump() ==
      R"({"id":"*","name":"web","state":"created","region":"iad","instance_id":"*","version":1,)"
      R"("private_ip":"","image_ref":{"registry":"registry.test",)"
      R"("repository":"hello:1","tag":"1",)"
      R"("digest":"sha256:)" +
          std::string(64, 'a') +
          R"("},)"
          R"("config":{"image":"hello:1","env":{},"init":{},"guest":{"cpu_kind":"shared","cpus":1,)"
          R"("memory_mb":256},"services":[{"protocol":"tcp","internal_port":80,"ports":[)"
          R"({"port":80,"handlers":["http"],"force_https":false}],)"
          R"("concurrency":{"type":"connections","soft_limit":20},)"
          R"("autostart":true,"autostop":false,"min_machines_running":0}],"metadata":{},)"
          R"("restart":{"policy":"on-failure","max_retries":10},)"
          R"("stop_config":{"signal":"SIGINT","timeout":"5000ms"},"auto_destroy":false},)"
          R"("created_at":"*","updated_at":"*","cordoned":false,"node":"n1","release":0,)"
          R"("host_status":"unknown","checks":[],"events":[]})");
  work();
  CHECK(text(call("GET", path(id)).body, "state") == "started");
  CHECK(text(call("GET", path(id)).body, "private_ip") == "10.201.0.2");
  CHECK(machines("hello").items().size() == 1);
  CHECK(call("GET", "/v1/apps/hello/machines?region=fra").body.items().empty());
}

TEST_CASE_FIXTURE(WithApp, "a machine is stopped, started, restarted, updated and destroyed") {
  const std::string id = create();
  work();
  CHECK(call("POST", path(id, "/stop")).status == 200);
  CHECK(text(call("GET", path(id)).body, "state") == "stopping");
  work();
  CHECK(text(call("GET", path(id)).body, "state") == "stopped");
  const Got started = call("POST", path(id, "/start"));
  CHECK(text(started.body, "previous_state") == "stopped");
  CHECK(text(call("GET", path(id)).body, "state") == "starting");
  work();
  const std::string before = text(call("GET", path(id)).body, "instance_id");
  CHECK(call("POST", path(id, "/restart")).status == 200);
  CHECK(text(call("GET", path(id)).body, "instance_id") != before);
  CHECK(text(call("GET", path(id)).body, "state") == "restarting");
  work();
  const Got updated = call("POST", path(id), R"({"config": {"image": "hello:2"}})");
  CHECK(updated.body.find("version")->integer() == 2);
  CHECK(text(*updated.body.find("config"), "image") == "hello:2");
  CHECK(call("POST", path(id), R"({"config": {"image": "x"}, "current_version": "OLD"})").status ==
        409);
  work();
  CHECK(call("DELETE", path(id)).status == 409);  // it runs
  CHECK(call("DELETE", path(id) + "?force=true").status == 200);
  CHECK(text(call("GET", path(id)).body, "state") == "destroying");
  CHECK(call("POST", path(id, "/start")).status == 409);
  work();
  CHECK(eventually([&] { return call("GET", path(id)).status == 404; }));
  CHECK(machines("hello").items().empty());
}

// What the machine is to be, as its worker is told.
model::Machine desired(ControlFixture& f, const std::string& id) {
  const auto entry = f.loop().run(f.store.get("/machines/" + id));
  return *model::machine_from(*json::parse((*entry)->value));
}

TEST_CASE_FIXTURE(WithApp, "a stop and a restart may say how, once") {
  const std::string id = create();
  work();
  CHECK(call("POST", path(id, "/stop"), R"({"signal": "SIGQUIT", "timeout": "20s"})").status ==
        200);
  const model::StopConfig quit{.signal = "SIGQUIT", .timeout = 20s};
  CHECK(desired(*this, id).stop_override == quit);
  work();
  CHECK(call("POST", path(id, "/start")).status == 200);
  CHECK_FALSE(desired(*this, id).stop_override.has_value());
  work();
  const auto restart = [&](const char* query) {
    CHECK(call("POST", path(id, std::string("/restart") + query)).status == 200);
    return desired(*this, id).stop_override;
  };
  const model::StopConfig kill{.signal = "SIGKILL", .timeout = 0s};
  const model::StopConfig slow{.signal = "SIGINT", .timeout = 60s};
  CHECK(restart("?force_stop=true") == kill);
  CHECK(restart("?timeout=60") == slow);
  CHECK_FALSE(restart("").has_value());
  const Got bad = call("POST", path(id, "/stop"), R"({"signal": "SIGFOO"})");
  CHECK(bad.status == 400);
  CHECK(text(bad.body, "error").starts_with("signal: signal 'SIGFOO' is not known"));
  CHECK(call("POST", path(id, "/stop"), R"({"timeout": "301s"})").status == 400);
  CHECK(call("POST", path(id, "/stop"), R"("now")").status == 400);
}

TEST_CASE_FIXTURE(WithApp, "wait answers when the state is there, 408 when the time is up") {
  const std::string id = create();
  const Got late = call("GET", path(id, "/wait?state=started&timeout=1"));
  CHECK(late.status == 408);
  CHECK(text(late.body, "error").find("is created, not started, after 1 s") != std::string::npos);
  async::TaskGroup later(loop());
  Result<Got> waited = fail(Code::internal, "not yet");
  const auto wait_for = [&](std::string target) {
    return [](ControlFixture& f, std::string t, Result<Got>& into) -> async::Task<void> {
      into = co_await ask(f.client, f.api_address, f.request("GET", std::move(t)), {},
                          f.loop().deadline_in(10s));
    }(*this, std::move(target), waited);
  };
  later.spawn(wait_for(path(id, "/wait?state=started&timeout=5")));
  pass(50ms);
  CHECK_FALSE(waited.has_value());
  work();
  loop().run(later.drained());
  REQUIRE(waited.has_value());
  CHECK(waited->status == 200);
  CHECK(waited->body == json::object({{"ok", true}}));

  CHECK(call("DELETE", path(id) + "?force=1").status == 200);
  later.spawn(wait_for(path(id, "/wait?state=destroyed&timeout=5")));
  pass(20ms);
  work();
  loop().run(later.drained());
  CHECK(waited->status == 200);
  CHECK(call("GET", path(id, "/wait?state=sleeping")).status == 400);
  CHECK(call("GET", path("nope", "/wait?state=started&timeout=1")).status == 404);
}

TEST_CASE_FIXTURE(WithApp, "events of a machine are those that its worker reported") {
  const std::string id = create();
  CHECK(call("GET", path(id, "/events")).body.items().empty());
  work([](const model::Machine&, model::MachineStatus& status) {
    status.events.push_back({"start", "started", "worker", WallTime{5'000'000}, std::nullopt});
  });
  CHECK(call("GET", path(id, "/events")).text ==
        "[{\"type\":\"start\",\"status\":\"started\",\"source\":\"worker\",\"timestamp\":5,"
        "\"id\":\"5-0\"}]\n");
}

TEST_CASE_FIXTURE(WithApp, "bad machine requests say what is wrong") {
  const auto error = [&](const char* body) {
    const Got got = call("POST", "/v1/apps/hello/machines", body);
    CHECK(got.status == 400);
    return text(got.body, "error");
  };
  CHECK(error("{}") == "config: missing");
  CHECK(error(R"({"config": {}})") == "config.image: missing");
  CHECK(error(R"({"config": {"image": "x", "guest": {"memory_mb": 200}}})").find("memory") !=
        std::string::npos);
  CHECK(error(R"({"config": {"image": "x"}, "region": "syd"})").find("syd") != std::string::npos);
  CHECK(call("POST", "/v1/apps/hello/machines", R"({"config": {"image": "missing:1"}})").status ==
        404);
  CHECK(call("POST", "/v1/apps/none/machines", R"({"config": {"image": "x"}})").status == 404);
  const Got big = call("POST", "/v1/apps/hello/machines",
                       R"({"config": {"image": "x", "guest": {"memory_mb": 8192}}})");
  CHECK(big.status == 503);
  CHECK(text(big.body, "error").find("no room") == 0);
}

TEST_CASE_FIXTURE(WithApp, "destroying an app destroys its machines, and the name is free again") {
  const std::string id = create();
  work();
  CHECK(call("DELETE", "/v1/apps/hello").status == 202);
  CHECK(call("GET", "/v1/apps/hello/machines").status == 404);
  CHECK(text(call("GET", path(id)).body, "state") == "destroying");
  CHECK(call("POST", "/v1/apps", R"({"app_name": "hello"})").status == 201);
  CHECK(machines("hello").items().empty());
  work();
  CHECK(eventually([&] { return loop().run(store.list("/machines/"))->entries.empty(); }));
}

TEST_CASE_FIXTURE(ControlFixture, "blobs are asked for, stored and refused") {
  const std::string target = "/v1/blobs/sha256:" + std::string(64, 'b');
  CHECK(call("HEAD", target).status == 404);
  CHECK(call("PUT", target, "corrupt").status == 500);
  CHECK(call("PUT", target, "content").status == 201);
  CHECK(call("PUT", target, "content").status == 200);
  CHECK(call("HEAD", target).status == 200);
  CHECK(images.blobs.begin()->second == "content");
}

TEST_CASE_FIXTURE(WithApp, "logs are the machines' last lines, then what they write") {
  create();
  for (const char* line : {"one", "two", "three"}) worker.add(line);
  const Got tail = call("GET", "/v1/apps/hello/logs?tail=2");
  CHECK(tail.text.find("one") == std::string::npos);
  CHECK(tail.text.find("data: {\"timestamp\":\"2026-01-01T00:00:01Z\",\"message\":\"two\"") == 0);
  CHECK(call("GET", "/v1/apps/hello/logs?tail=x").status == 400);
  CHECK(call("GET", "/v1/apps/none/logs").status == 404);

  std::string seen;
  async::TaskGroup reading(loop());
  reading.spawn([](ControlFixture& f, std::string& into) -> async::Task<void> {
    auto response = co_await f.client.request(
        f.api_address, f.request("GET", "/v1/apps/hello/logs?tail=1&follow=1"), {},
        f.loop().deadline_in(10s));
    std::string buffer(4096, ' ');
    for (;;) {
      const auto n = co_await (*response)->body().read(buffer);
      if (!n || *n == 0) co_return;
      into.append(buffer, 0, *n);
    }
  }(*this, seen));
  CHECK(eventually([&] { return seen.find("three") != std::string::npos; }));
  worker.add("four");
  CHECK(eventually([&] { return seen.find("four") != std::string::npos; }));
  CHECK(seen.find("two") == std::string::npos);
}

}  // namespace
}  // namespace perigee::control
