// Deploys, feeds and restarts of a whole control, over real loopback sockets.
#include <doctest/doctest.h>

#include "control/control_fixture.h"
#include "control/feed_client.h"

namespace perigee::control {
namespace {

const std::string& text(const json::Value& value, std::string_view key) {
  static const std::string kNone = "(none)";
  const json::Value* found = value.find(key);
  return found == nullptr || !found->is_string() ? kNone : *found->string();
}

struct Deploy : ControlFixture {
  Deploy() {
    send(node());
    REQUIRE(call("POST", "/v1/apps", R"({"app_name": "hello"})").status == 201);
  }
  void release(const std::string& body = kHello) {
    const Got got = call("POST", "/v1/apps/hello/releases", body);
    REQUIRE_MESSAGE(got.status == 202, got.text);
  }
  bool machines_made(std::size_t count) {
    return eventually([&] { return machines("hello").items().size() == count; });
  }
  bool ends(int version, const std::string& status) {
    return eventually([&] { return release_status("hello", version) == status; });
  }
  std::string events(int version) {
    return call("GET", fmt::format("/v1/apps/hello/releases/{}/events", version)).text;
  }
};

TEST_CASE_FIXTURE(Deploy, "a deploy makes a machine, waits until it listens, and routes to it") {
  FeedClient routes(*this, "/internal/v1/feed/routes");
  release();
  REQUIRE(machines_made(1));
  CHECK(machines("hello").items()[0].find("cordoned")->boolean() == true);
  work([](const model::Machine&, model::MachineStatus& status) { status.listening = false; });
  pass(100ms);
  CHECK(release_status("hello", 1) == "running");
  work();
  REQUIRE(ends(1, "succeeded"));
  CHECK(machines("hello").items()[0].find("cordoned")->boolean() == false);
  CHECK(call("GET", "/v1/apps/hello").body.find("current_release")->integer() == 1);
  CHECK(eventually([&] { return routes.has("\"address\":\"10.201.0.2\""); }));
  CHECK(routes.has("BEGIN CERTIFICATE"));
  const std::string told = events(1);
  CHECK(told.find("id: 1\nevent: step\ndata: {") == 0);
  for (const char* part :
       {"listens on port 8080", "requests go to v1 now", "event: done", "v1 is live"}) {
    CAPTURE(part);
    CHECK(told.find(part) != std::string::npos);
  }
  CHECK(call("GET", "/v1/apps/hello/releases").body.find("releases")->items().size() == 1);
}

TEST_CASE_FIXTURE(Deploy,
                  "a second deploy starts the new machine first and then ends the old one") {
  release();
  REQUIRE(machines_made(1));
  work();
  REQUIRE(ends(1, "succeeded"));
  const std::string old = text(machines("hello").items()[0], "id");
  release();
  REQUIRE(machines_made(2));
  work([&](const model::Machine& machine, model::MachineStatus& status) {
    if (machine.id.str() != old) status.state = model::MachineState::starting;
  });
  pass(100ms);
  CHECK(machines("hello").items().size() == 2);  // the old one serves on
  work();
  REQUIRE(ends(2, "succeeded"));
  CHECK(machines("hello").items().size() == 1);
  CHECK(text(machines("hello").items()[0], "id") != old);
  work();
  CHECK(eventually([&] { return loop().run(store.list("/machines/"))->entries.size() == 1; }));
}

TEST_CASE_FIXTURE(Deploy, "an app that exits fails the deploy with its exit code and last lines") {
  release();
  REQUIRE(machines_made(1));
  work();
  REQUIRE(ends(1, "succeeded"));
  const std::string good = text(machines("hello").items()[0], "id");
  worker.add("panic: no such table");
  release();
  REQUIRE(machines_made(2));
  work([&](const model::Machine& machine, model::MachineStatus& status) {
    if (machine.id.str() == good) return;
    status.state = model::MachineState::restarting;
    status.last_exit = model::ExitEvent{3, 0, false, false, "exit code 3", {}};
  });
  REQUIRE(ends(2, "failed"));
  const std::string told = events(2);
  CHECK(told.find("event: log") != std::string::npos);
  CHECK(told.find("panic: no such table") != std::string::npos);
  CHECK(told.find("the app ended: exit code 3") != std::string::npos);
  CHECK(told.rfind("event: error") > told.rfind("event: log"));
  REQUIRE(machines("hello").items().size() == 1);  // the old one was never touched
  CHECK(text(machines("hello").items()[0], "id") == good);
  CHECK(machines("hello").items()[0].find("cordoned")->boolean() == false);
  CHECK(call("GET", "/v1/apps/hello").body.find("current_release")->integer() == 1);
}

TEST_CASE_FIXTURE(Deploy, "an app that never listens fails the deploy, and the port is named") {
  kill();
  config.times.listen = 300ms;
  start();
  send(node());
  release();
  REQUIRE(machines_made(1));
  const WallTime at = h().clock.wall();
  work([&](const model::Machine&, model::MachineStatus& status) {
    status.listening = false;
    status.started_at = at;
  });
  REQUIRE(ends(1, "failed"));
  CHECK(events(1).find("nothing listens on port 8080") != std::string::npos);
  CHECK(machines("hello").items().empty());
}

TEST_CASE_FIXTURE(Deploy, "an image that is not there fails the deploy") {
  release(R"({"image": "missing:1"})");
  REQUIRE(ends(1, "failed"));
  CHECK(events(1).find("image missing:1: no such image") != std::string::npos);
  CHECK(call("POST", "/v1/apps/hello/releases", "{}").status == 400);
  CHECK(call("POST", "/v1/apps/hello/releases", R"({"image": "x", "count": 0})").status == 400);
  CHECK(call("GET", "/v1/apps/hello/releases/7").status == 404);
  CHECK(call("GET", "/v1/apps/hello/releases/x").status == 400);
}

TEST_CASE_FIXTURE(Deploy, "without room the deploy fails and says so") {
  send(node(300));
  release(R"({"image": "hello:1", "count": 2})");
  REQUIRE(ends(1, "failed"));
  CHECK(events(1).find("no room for a machine of 256 MiB") != std::string::npos);
  CHECK(machines("hello").items().empty());
}

TEST_CASE_FIXTURE(Deploy, "a newer deploy takes over one that hangs") {
  release();
  REQUIRE(machines_made(1));
  release();
  REQUIRE(ends(1, "failed"));
  REQUIRE(machines_made(1));
  work();
  REQUIRE(ends(2, "succeeded"));
}

// Runs a second deploy and kills control at its n-th commit. False: it took fewer commits.
bool killed_at(Deploy& f, int commits, StallingStore::Last last) {
  f.release();
  REQUIRE(f.machines_made(1));
  f.work();
  REQUIRE(f.ends(1, "succeeded"));
  f.store.stall_after(1 + commits, last);  // the first writes the release itself
  f.release();
  const bool stalled = f.eventually([&] {
    f.work();
    return f.store.stalled() || f.release_status("hello", 2) == "succeeded";
  });
  REQUIRE(stalled);
  if (!f.store.stalled()) return false;
  f.kill();
  f.store.resume();
  f.start();
  return true;
}

void check_second_deploy(Deploy& f) {
  CHECK(f.eventually([&] {
    f.work();
    return f.release_status("hello", 2) == "succeeded";
  }));
  CHECK(f.machines("hello").items().size() == 1);  // none doubled, none lost
  const std::string told = f.events(2);
  for (const char* part : {"release v2", "is made on n1", "listens on port",
                           "requests go to v2 now", "(v1) goes", "v2 is live"}) {
    CAPTURE(part);
    const auto first = told.find(part);
    CHECK(first != std::string::npos);
    CHECK(told.find(part, first + 1) == std::string::npos);
  }
}

TEST_CASE("a deploy goes on where it was when control is killed, at each of its commits") {
  for (const auto last : {StallingStore::Last::applied, StallingStore::Last::dropped}) {
    int kills = 0;
    for (int commits = 0; commits < 20; ++commits) {
      CAPTURE(commits);
      Deploy deploy;
      if (!killed_at(deploy, commits, last)) break;
      ++kills;
      check_second_deploy(deploy);
    }
    CHECK(kills >= 7);
  }
}

TEST_CASE_FIXTURE(Deploy, "an app destroyed in the middle of its deploy leaves nothing") {
  release();
  REQUIRE(machines_made(1));
  CHECK(call("DELETE", "/v1/apps/hello").status == 202);
  work();
  CHECK(eventually([&] {
    work();
    return loop().run(store.list("/machines/"))->entries.empty();
  }));
  CHECK(loop().run(store.list("/releases/"))->entries.empty());
  CHECK(loop().run(store.list("/certs/"))->entries.empty());
}

TEST_CASE_FIXTURE(Deploy, "a feed knows what its receivers have been sent") {
  Feed feed(loop(), "e");
  feed.set("/a", "1");
  const MonotonicTime before = loop().now();
  loop().run(feed.delivered(1, loop().now() + 5s));  // nobody listens
  CHECK(loop().now() - before < 1s);
}

TEST_CASE_FIXTURE(Deploy, "a node's feed has its machines, and changes as they come") {
  FeedClient feed(*this, "/internal/v1/feed/node/n1");
  CHECK(eventually([&] { return feed.has("\"synced\":true"); }));
  release();
  REQUIRE(machines_made(1));
  const std::string id = text(machines("hello").items()[0], "id");
  CHECK(eventually([&] { return feed.has("\"key\":\"/machines/" + id + "\""); }));
  FeedClient other(*this, "/internal/v1/feed/node/n2");
  CHECK(eventually([&] { return other.has("\"synced\":true"); }));
  CHECK_FALSE(other.has(id));
  const std::string epoch = text(*json::parse(feed.text.substr(0, feed.text.find('\n'))), "epoch");
  FeedClient resumed(*this, fmt::format("/internal/v1/feed/node/n1?from={}-0", epoch));
  CHECK(eventually([&] { return resumed.has(id); }));
  CHECK(resumed.has("\"snapshot\":false"));
}

TEST_CASE_FIXTURE(Deploy, "a restarted control holds routes back until its nodes have reported") {
  release();
  REQUIRE(machines_made(1));
  work();
  REQUIRE(ends(1, "succeeded"));
  kill();
  start();
  FeedClient routes(*this, "/internal/v1/feed/routes?from=old-1");
  pass(200ms);
  CHECK(routes.text.empty());
  work();
  CHECK(eventually([&] { return routes.has("\"synced\":true"); }));
  CHECK(routes.has("\"address\":\"10.201.0.2\""));
}

TEST_CASE_FIXTURE(Deploy, "a restarted control tells no names until its nodes have reported") {
  const auto named = [](const model::Machine&, model::MachineStatus& status) {
    status.private_ip6 = "fd00::2";
  };
  release();
  REQUIRE(machines_made(1));
  work(named);
  REQUIRE(ends(1, "succeeded"));
  kill();
  start();
  FeedClient feed(*this, "/internal/v1/feed/node/n1");
  pass(200ms);
  CHECK(feed.text.empty());
  work(named);
  CHECK(eventually([&] { return feed.has("\"synced\":true"); }));
  CHECK(feed.has("fd00::2"));
}

TEST_CASE_FIXTURE(Deploy, "a report under another node's name, or none at all, is refused") {
  CHECK(internal("POST", "/internal/v1/nodes/n2/report", model::to_json(node()).dump()) == 400);
  CHECK(internal("POST", "/internal/v1/nodes/n1/report", "{}") == 400);
  CHECK(internal("POST", "/internal/v1/nodes/n1/report", "nonsense") == 400);
}

}  // namespace
}  // namespace perigee::control
