// Requests that wait because all machines are at their hard limit.
#include "router/admission_queue.h"
#include "router/care_fixture.h"

namespace perigee::router {
namespace {

// Keeps its requests' order and how many were there at once; answers once it is open.
class Counter : public http::Handler {
 public:
  explicit Counter(async::Loop& loop) : open(loop), loop_(loop) {}
  async::Task<void> handle(Request& request, ResponseWriter& response) override {
    order.push_back(request.head.target);
    most = std::max(most, ++now);
    co_await open.wait();
    co_await loop_.sleep(2ms);
    --now;
    std::ignore = co_await response.send({.status = 200}, "served");
  }
  async::Event open;
  std::vector<std::string> order;
  int now = 0;
  int most = 0;

 private:
  async::Loop& loop_;
};

struct Queueing : CareFixture {
  void limit(int hard) {
    route_line(1);
    route.services[0].concurrency = {.soft_limit = hard, .hard_limit = hard};
  }
  std::size_t waiting() { return router->state().queue.waiting(); }
  void wait_for_waiting(std::size_t count) {
    for (int i = 0; i < 500 && waiting() != count; ++i) sleep(10ms);
    CHECK(waiting() == count);
  }
  static async::Task<void> ask_on(Queueing& f, std::shared_ptr<http2::Connection> link,
                                  http::RequestHead head, std::vector<int>& into) {
    const auto reply = co_await read(f, link, std::move(head));
    into.push_back(reply ? reply->status : 0);
  }
  static async::Task<void> ask_for(Queueing& f, http::RequestHead head, std::vector<int>& into) {
    const auto reply = co_await f.ask(f.http_address, std::move(head), {});
    into.push_back(reply ? reply->status : 0);
  }
};

TEST_CASE_FIXTURE(Queueing, "requests beyond the hard limit wait, and are served in their order") {
  Counter app(loop());
  start_app(app, "127.0.0.1");
  target("m1", "127.0.0.1");
  limit(1);
  start_all();
  async::TaskGroup asking(loop());
  std::vector<int> statuses;
  std::vector<std::string> sent;
  for (std::size_t i = 0; i < 8; ++i) {
    sent.push_back(fmt::format("/{}", i));
    asking.spawn(ask_for(*this, {.target = sent.back()}, statuses));
    for (int turn = 0; turn < 500 && app.order.empty(); ++turn) sleep(10ms);
    wait_for_waiting(i);
  }
  app.open.set();
  loop().run(asking.drained());
  CHECK(statuses == std::vector<int>(8, 200));
  CHECK(app.order == sent);
  CHECK(app.most == 1);
  CHECK(router->state().counters.queued == 7);
  CHECK(waiting() == 0);
  servers.clear();
}

TEST_CASE_FIXTURE(Queueing, "streams of one connection wait, too, and one that is reset is gone") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  limit(1);
  start_all();
  const auto link = open_http2();
  async::TaskGroup streams(loop());
  std::vector<int> statuses;
  streams.spawn(ask_on(*this, link, {.target = "/hold"}, statuses));
  loop().run(machine.entered.wait());
  for (int i = 0; i < 3; ++i) streams.spawn(ask_on(*this, link, {.target = "/"}, statuses));
  wait_for_waiting(3);
  {
    async::TaskGroup reset(loop());
    reset.spawn(ask_on(*this, link, {.target = "/reset"}, statuses));
    wait_for_waiting(4);
  }
  wait_for_waiting(3);
  machine.release.set();
  loop().run(streams.drained());
  CHECK(statuses == std::vector<int>(4, 200));
  CHECK(machine.requests == 4);
}

TEST_CASE_FIXTURE(Queueing, "who waits is gone when its client goes") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  limit(1);
  start_all();
  async::TaskGroup asking(loop());
  std::vector<int> statuses;
  asking.spawn(ask_for(*this, {.target = "/hold"}, statuses));
  loop().run(machine.entered.wait());
  {
    async::TaskGroup others(loop());
    for (int i = 0; i < 3; ++i) others.spawn(ask_for(*this, {.target = "/gone"}, statuses));
    wait_for_waiting(3);
  }
  wait_for_waiting(0);
  machine.release.set();
  loop().run(asking.drained());
  CHECK(statuses == std::vector{200});
  CHECK(machine.requests == 1);
}

TEST_CASE_FIXTURE(Queueing, "who insists on a full machine holds up nobody else") {
  Machine& full = start_machine("m1", "127.0.0.1");
  start_machine("m2", "127.0.0.2");
  target("m1", "127.0.0.1");
  target("m2", "127.0.0.2");
  limit(1);
  start_all();
  async::TaskGroup asking(loop());
  std::vector<int> statuses;
  const auto to_m1 = [](std::string path) {
    return request_with({{"perigee-force-machine", "m1"}}, std::move(path));
  };
  asking.spawn(ask_for(*this, to_m1("/hold"), statuses));
  loop().run(full.entered.wait());
  asking.spawn(ask_for(*this, to_m1("/"), statuses));
  wait_for_waiting(1);
  CHECK(get().body == "m2:");
  CHECK(waiting() == 1);
  full.release.set();
  loop().run(asking.drained());
  CHECK(statuses == std::vector{200, 200});
}

TEST_CASE_FIXTURE(Queueing, "another machine that comes serves who waits for a full one") {
  Machine& full = start_machine("m1", "127.0.0.1");
  start_machine("m2", "127.0.0.2");
  target("m1", "127.0.0.1");
  limit(1);
  start_all();
  async::TaskGroup asking(loop());
  std::vector<int> statuses;
  asking.spawn(ask_for(*this, {.target = "/hold"}, statuses));
  loop().run(full.entered.wait());
  std::vector<int> waited;
  async::TaskGroup others(loop());
  others.spawn(ask_for(*this, {}, waited));
  wait_for_waiting(1);
  target("m2", "127.0.0.2");
  feed.add(route_line(2));
  loop().run(others.drained());
  CHECK(waited == std::vector{200});
  CHECK(statuses.empty());
  full.release.set();
  loop().run(asking.drained());
}

TEST_CASE_FIXTURE(Queueing, "while a machine starts, a place at one that runs serves who waits") {
  Machine& full = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  target("m2", "127.0.0.2", model::MachineState::stopped, false);
  route.targets[1].wakeable = true;
  limit(1);
  feed.on_wake = [this] {
    route.targets[1].wakeable = false;
    route.targets[1].state = model::MachineState::starting;
    feed.add(route_line(2));
  };
  start_all();
  async::TaskGroup asking(loop());
  std::vector<int> statuses;
  asking.spawn(ask_for(*this, {.target = "/hold"}, statuses));
  loop().run(full.entered.wait());
  std::vector<int> waited;
  async::TaskGroup others(loop());
  others.spawn(ask_for(*this, {}, waited));
  for (int i = 0; i < 500 && feed.wakes.empty(); ++i) sleep(10ms);
  sleep(50ms);
  CHECK(waited.empty());
  full.release.set();
  loop().run(others.drained());
  CHECK(waited == std::vector{200});
  CHECK(full.requests == 2);
  loop().run(asking.drained());
}

TEST_CASE_FIXTURE(Queueing, "where none can be started, who finds all full waits for a place") {
  Machine& full = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  target("m2", "127.0.0.2", model::MachineState::stopped, false);
  route.targets[1].wakeable = true;
  limit(1);
  feed.wake_status = 503;
  start_all();
  async::TaskGroup asking(loop());
  std::vector<int> statuses;
  asking.spawn(ask_for(*this, {.target = "/hold"}, statuses));
  loop().run(full.entered.wait());
  asking.spawn(ask_for(*this, {}, statuses));
  wait_for_waiting(1);
  full.release.set();
  loop().run(asking.drained());
  CHECK(statuses == std::vector{200, 200});
}

TEST_CASE_FIXTURE(Fleet, "a place that becomes free at another node serves who waits here") {
  route_line(1);
  route.services[0].concurrency = {.soft_limit = 1, .hard_limit = 1};
  Machine& full = start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  std::optional<Result<Reply>> held;
  tasks.spawn(ask_into(*this, {.target = "/hold"}, held, 2));  // unknown to n1
  loop().run(full.entered.wait());
  std::optional<Result<Reply>> waits;
  tasks.spawn(ask_into(*this, {}, waits, 1));
  for (int i = 0; i < 500 && state(1).queue.waiting() == 0; ++i) sleep(10ms);
  CHECK(state(1).queue.waiting() == 1);
  CHECK(full.requests == 1);
  full.release.set();
  for (int i = 0; i < 500 && !(held && waits); ++i) sleep(10ms);
  REQUIRE(waits.has_value());
  REQUIRE(waits->has_value());
  CHECK((*waits)->status == 200);
}

TEST_CASE("a line is as long as one app may have it, and another app has its own") {
  const auto posix = *sys::PosixHost::open(1);
  AdmissionQueue queue(posix->loop());
  std::vector<std::unique_ptr<AdmissionQueue::Ticket>> tickets;
  const auto join = [&](const std::string& app) {
    tickets.push_back(std::make_unique<AdmissionQueue::Ticket>(queue, app, ""));
    return tickets.back()->enter({"machine of " + app});
  };
  for (std::size_t i = 0; i < kMaxAppQueue; ++i) REQUIRE(join("one"));
  CHECK_FALSE(join("one"));
  CHECK(join("two"));
  CHECK(queue.refusals() == 1);
  CHECK(queue.waiting() == kMaxAppQueue + 1);
  tickets.clear();
  CHECK(queue.waiting() == 0);
  CHECK_FALSE(queue.has_line("one", ""));
}

TEST_CASE("who left and comes back stands where it stood") {
  const auto posix = *sys::PosixHost::open(1);
  AdmissionQueue queue(posix->loop());
  AdmissionQueue::Ticket first(queue, "app", "");
  AdmissionQueue::Ticket second(queue, "app", "");
  REQUIRE(first.enter({"m"}));
  REQUIRE(second.enter({"m"}));
  CHECK(first.is_first());
  first.leave();
  CHECK(second.is_first());
  REQUIRE(first.enter({"m"}));
  CHECK(first.is_first());
  CHECK_FALSE(second.is_first());
}

TEST_CASE("wishes that insist have lines of their own") {
  CHECK(line_of({}).empty());
  CHECK(line_of({.machine = MachineId("m1")}).empty());
  const std::string one = line_of({.machine = MachineId("m1"), .machine_only = true});
  CHECK_FALSE(one.empty());
  CHECK(one != line_of({.machine = MachineId("m2"), .machine_only = true}));
  CHECK(one != line_of({.avoided = MachineId("m1")}));
  CHECK_FALSE(line_of({.regions = {RegionCode("fra")}, .regions_only = true}).empty());
}

}  // namespace
}  // namespace perigee::router
