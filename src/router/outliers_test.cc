// Machines that fail in a row are set aside, tried again, and come back.
#include "router/outliers.h"

#include "router/care_fixture.h"

namespace perigee::router {
namespace {

model::RouteTarget machine(const std::string& instance = "i", bool listening = true) {
  model::RouteTarget target;
  target.machine = MachineId("m1");
  target.instance_id = instance;
  target.listening = listening;
  return target;
}

TEST_CASE("failures in a row set a machine aside, longer each time, and an answer forgets them") {
  Outliers outliers;
  MonotonicTime now{0};
  CHECK_FALSE(outliers.failed(machine(), now));
  CHECK_FALSE(outliers.failed(machine(), now));
  CHECK(outliers.aside(machine(), now) == Duration::zero());
  CHECK(outliers.failed(machine(), now));
  CHECK(outliers.aside(machine(), now) == kFirstAside);
  now = now + kFirstAside;
  CHECK(outliers.aside(machine(), now) == Duration::zero());
  outliers.tried("m1", now);
  CHECK(outliers.aside(machine(), now) == kProbePatience);  // for all but the one that tries
  CHECK(outliers.failed(machine(), now));
  CHECK(outliers.aside(machine(), now) == 2 * kFirstAside);
  for (int i = 0; i < 10; ++i) outliers.failed(machine(), now);
  CHECK(outliers.aside(machine(), now) == kLastAside);
  outliers.answered("m1");
  CHECK(outliers.aside(machine(), now) == Duration::zero());
  CHECK(outliers.known() == 0);
  CHECK(outliers.ejections() == 12);
}

TEST_CASE("an answer between failures makes them none in a row") {
  Outliers outliers;
  for (int i = 0; i < 10; ++i) {
    CHECK_FALSE(outliers.failed(machine(), {}));
    CHECK_FALSE(outliers.failed(machine(), {}));
    outliers.answered("m1");
  }
}

TEST_CASE("another version of a machine begins anew, one that starts may refuse") {
  Outliers outliers;
  for (int i = 0; i < 3; ++i) outliers.failed(machine("old"), {});
  CHECK(outliers.aside(machine("old"), {}) > Duration::zero());
  CHECK(outliers.aside(machine("new"), {}) == Duration::zero());
  for (int i = 0; i < 10; ++i) CHECK_FALSE(outliers.failed(machine("new", false), {}));
}

TEST_CASE("never more than half of the machines are set aside") {
  model::RouteTarget running = machine();
  running.address = "10.0.0.1";
  running.state = model::MachineState::started;
  const auto kept = [&](std::size_t aside, std::size_t all) {
    std::vector<routing::Candidate> candidates(all, {.target = &running});
    for (std::size_t i = 0; i < aside; ++i) candidates[i].aside = 1s;
    routing::keep_half(candidates);
    return candidates[0].aside > Duration::zero();
  };
  CHECK_FALSE(kept(1, 1));
  CHECK(kept(1, 2));
  CHECK_FALSE(kept(2, 2));
  CHECK(kept(2, 4));
  CHECK_FALSE(kept(3, 4));
}

// Takes connections and closes them without an answer, or gives one, each once.
struct Moody {
  Moody(Fixture& f, const std::string& ip)
      : listener(*f.h().network.listen(*sys::Address::ip(ip, f.port))), task(run(*this)) {
    if (f.port == 0) f.port = listener->local().port();
    task.start();
  }
  static async::Task<void> run(Moody& self) {
    for (;;) {
      auto stream = co_await self.listener->accept();
      std::array<char, 4096> buffer;
      if (!stream || !co_await (*stream)->read(buffer)) co_return;
      ++self.tried;
      if (!self.well) continue;
      std::ignore = co_await (*stream)->write(
          "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwell");
    }
  }
  std::unique_ptr<sys::Listener> listener;
  int tried = 0;
  bool well = false;
  async::Task<void> task;
};

TEST_CASE_FIXTURE(Fixture,
                  "a machine that cuts is set aside, tried by one request, and comes back") {
  start_machine("m1", "127.0.0.1");
  Moody moody(*this, "127.0.0.2");
  target("m1", "127.0.0.1");
  target("m2", "127.0.0.2");
  start_all();
  const auto explained = [&] {
    auto told =
        loop().run(ask(status_address, {.target = "/internal/v1/explain?host=hello.test"}, {}));
    REQUIRE(told.has_value());
    return told->body.find("set aside after failures in a row, for ") != std::string::npos;
  };
  int asked = 0;
  for (; asked < 200 && !explained(); ++asked) CHECK(get().status == 200);
  CHECK(explained());
  CHECK(moody.tried >= kFailuresInRow);
  const int before = moody.tried;
  for (int i = 0; i < 40; ++i) CHECK(get().status == 200);
  CHECK(moody.tried - before < 10);  // half of them, were it not set aside
  CHECK(status().find("care")->find("ejections")->integer() >= 1);

  moody.well = true;
  bool back = false;
  for (int i = 0; i < 1000 && !back; ++i) {
    sleep(20ms);
    back = get().body == "well";
  }
  CHECK(back);
  CHECK(status().find("care")->find("failing_machines")->integer() == 0);
}

TEST_CASE_FIXTURE(Fixture, "an app's only machine is never set aside") {
  Moody moody(*this, "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  for (int i = 0; i < 6; ++i) {
    const auto reply = loop().run(ask(http_address, {.method = "POST"}, "x"));
    REQUIRE(reply.has_value());
    CHECK(reply->status == 502);
  }
  CHECK(moody.tried == 6);
}

TEST_CASE_FIXTURE(Fleet,
                  "a machine of another node that refuses is set aside; one that is full is not") {
  route_line(1);
  route.services[0].concurrency = {.soft_limit = 1, .hard_limit = 1};
  Machine& full = start_machine("m2", ip_of(2));
  start_machine("m3", ip_of(3));
  place("m2", 2);
  place("m3", 3);
  target("m4", "127.0.0.9");
  route.targets.back().node = NodeId("n2");
  start_fleet();
  std::optional<Result<Reply>> held;
  auto head = http::RequestHead{.target = "/hold"};
  head.headers.add("perigee-force-machine", "m2");
  tasks.spawn(ask_into(*this, std::move(head), held, 2));
  loop().run(full.entered.wait());
  for (int i = 0; i < 12; ++i) CHECK(get().body == "m3:");
  CHECK(state(1).outliers.ejections() >= 1);
  CHECK(state(1).outliers.known() == 1);
  full.release.set();
  for (int i = 0; i < 500 && !held; ++i) sleep(10ms);
}

}  // namespace
}  // namespace perigee::router
