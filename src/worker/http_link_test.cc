// The worker's two conversations over real Unix sockets: with a control that serves the feed and
// takes reports, and as the server of its logs.
#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "async/combine.h"
#include "http/client.h"
#include "http/server.h"
#include "model/json.h"
#include "sys/posix_host.h"
#include "vm/fake_driver.h"
#include "vm/output_log.h"
#include "worker/api.h"
#include "worker/control_link.h"
#include "worker/worker.h"

namespace perigee::worker {
namespace {

class Directory {
 public:
  Directory() {
    std::string name = "/tmp/perigee-worker-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Directory() { std::filesystem::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  sys::Address socket(const std::string& name) const {
    return *sys::Address::unix_path(path + "/" + name);
  }
  std::string path;
};

model::Machine some_machine(const std::string& id) {
  model::Machine machine;
  machine.id = MachineId(id);
  machine.name = id;
  machine.app = AppName("hello");
  machine.region = RegionCode("loc");
  machine.node = NodeId("n1");
  machine.instance_id = "v1";
  machine.config.image = "hello:1";
  machine.image.digest = "sha256:1";
  machine.desired = model::DesiredState::stopped;
  return machine;
}

std::string change(int revision, const std::string& id) {
  return json::object({{"revision", revision},
                       {"key", "/machines/" + id},
                       {"value", model::to_json(some_machine(id))}})
             .dump() +
         "\n";
}

// Serves a snapshot first, breaks off, and then changes.
class FakeControlServer : public http::Handler {
 public:
  explicit FakeControlServer(async::Loop& loop) : heard(loop) {}
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override {
    targets.push_back(request.head.target);
    if (request.head.method == "POST") co_return co_await take(request, response);
    if (targets.size() == 1) {
      (void)co_await response.send({.status = 503}, "not yet");
    } else if (request.head.target.ends_with("from=")) {
      (void)co_await response.start({.status = 200});
      (void)co_await response.write(R"({"version":1,"epoch":"e1","revision":5,"snapshot":true})"
                                    "\n" +
                                    change(5, "a1") + R"({"revision":5,"synced":true})" + "\n");
      (void)co_await response.finish();
    } else {
      (void)co_await response.start({.status = 200});
      (void)co_await response.write(R"({"version":1,"epoch":"e1","revision":5,"snapshot":false})"
                                    "\n" +
                                    change(6, "b2"));
      co_await response.closed();
    }
  }
  async::Task<void> take(http::Request& request, http::ResponseWriter& response) {
    const auto body = co_await http::read_all(request.body, 1 << 20);
    const auto value = json::parse(body.value_or(""));
    if (value) report = model::node_report_from(*value);
    (void)co_await response.send({.status = report ? 204 : 400}, report ? "" : "no report");
    heard.notify_all();
  }
  std::vector<std::string> targets;
  Result<model::NodeReport> report = fail(Code::not_found, "none");
  async::Notify heard;
};

class Recorder : public FeedSink {
 public:
  explicit Recorder(async::Loop& loop) : changed(loop) {}
  void machine_wanted(model::Machine machine) override { add("+" + machine.id.str()); }
  void machine_gone(MachineId id) override { add("-" + id.str()); }
  void synced(const std::set<MachineId>& machines) override {
    add("=" + std::to_string(machines.size()));
  }
  void volume_wanted(model::Volume volume) override { add("+" + volume.id.str()); }
  void volume_gone(VolumeId id) override { add("-" + id.str()); }
  void volumes_synced(const std::set<VolumeId>& /*all*/) override {}
  void registry_wanted(model::RegistryLogin /*login*/) override {}
  void registry_gone(std::string /*registry*/) override {}
  void registries_synced(const std::set<std::string>& /*all*/) override {}
  std::string log;
  async::Notify changed;

 private:
  void add(const std::string& what) {
    log += what + " ";
    changed.notify_all();
  }
  void names_told(model::AppNames /*names*/) override {}
  void names_gone(AppName /*app*/) override {}
  void names_synced(const std::set<AppName>& /*apps*/) override {}
};

async::Task<void> until_log(Recorder& recorder, std::string log) {
  while (recorder.log != log) co_await recorder.changed.wait();
}

async::Task<void> pause(async::Loop& loop, Duration d) {
  co_await loop.sleep(d);
}

struct Fixture {
  Directory directory;
  std::unique_ptr<sys::PosixHost> posix = *sys::PosixHost::open(2);
  sys::Host& host = posix->host();
  async::Loop& loop = posix->loop();
  // False when `task` is not done within 10 s.
  bool done(async::Task<void> task) {
    return loop.run(async::first_of(loop, std::move(task), pause(loop, 10s))) ==
           async::Winner::first;
  }
};

TEST_CASE_FIXTURE(Fixture, "the feed is followed through refusals and broken connections") {
  FakeControlServer handler(loop);
  http::Server server(host, handler, {});
  async::TaskGroup tasks(loop);
  Recorder recorder(loop);
  HttpControlLink link(host, directory.socket("control.sock"), NodeId("n1"));
  tasks.spawn(link.follow(recorder));  // nobody listens yet
  loop.run(pause(loop, 20ms));
  tasks.spawn(server.serve(*host.network.listen(directory.socket("control.sock"))));
  REQUIRE(done(until_log(recorder, "+a1 =1 +b2 ")));
  REQUIRE(handler.targets.size() == 3);
  CHECK(handler.targets[1] == "/internal/v1/feed/node/n1?from=");
  CHECK(handler.targets[2] == "/internal/v1/feed/node/n1?from=e1-5");
}

TEST_CASE_FIXTURE(Fixture, "a report arrives whole, and a refused one says so") {
  FakeControlServer handler(loop);
  http::Server server(host, handler, {});
  async::TaskGroup tasks(loop);
  HttpControlLink link(host, directory.socket("control.sock"), NodeId("n1"));
  CHECK_FALSE(loop.run(link.report({})).has_value());  // nobody listens
  tasks.spawn(server.serve(*host.network.listen(directory.socket("control.sock"))));
  model::NodeReport report;
  report.node = NodeId("n1");
  report.region = RegionCode("loc");
  report.boot_id = "b";
  report.cpus = 2;
  report.accelerator = "fake";
  model::MachineStatus status;
  status.id = MachineId("a1");
  status.state = model::MachineState::started;
  status.private_ip = "10.201.0.2";
  report.machines.push_back(status);
  CHECK(loop.run(link.report(report)).has_value());
  REQUIRE(handler.report.has_value());
  CHECK(*handler.report == report);
  CHECK(handler.targets.back() == "/internal/v1/nodes/n1/report");
}

// ---- worker.sock ----

class NoImages : public Images {
 public:
  async::Task<Result<PreparedImage>> prepare(model::ImageRef, image::Login, int) override {
    co_return fail(Code::unsupported, "none here");
  }
  async::Task<Result<void>> make_upper(std::string, std::uint64_t) override {
    co_return Result<void>();
  }
};

class NoDisks : public VolumeDisks {
 public:
  async::Task<Result<std::optional<DiskFacts>>> look(std::string) override {
    co_return std::nullopt;
  }
  async::Task<Result<void>> make(std::string, std::int64_t, std::string) override {
    co_return Result<void>();
  }
  async::Task<Result<void>> copy(std::string, std::string) override { co_return Result<void>(); }
  async::Task<Result<void>> rename(std::string, std::string) override { co_return Result<void>(); }
  async::Task<Result<void>> grow(std::string, std::int64_t) override { co_return Result<void>(); }
  async::Task<Result<std::int64_t>> free_mib(std::string) override { co_return 0; }
};

class NoFabric : public Fabric {
 public:
  async::Task<Result<void>> remove() override { co_return Result<void>(); }
  async::Task<Result<void>> apply(std::vector<vm::FirewallMachine>) override {
    co_return Result<void>();
  }
};

// Wants one machine, stopped, for ever.
class QuietControl : public ControlLink {
 public:
  explicit QuietControl(async::Loop& loop) : never_(loop) {}
  async::Task<void> follow(FeedSink& sink) override {
    sink.machine_wanted(some_machine("a1"));
    sink.synced({MachineId("a1")});
    co_await never_.wait();
  }
  async::Task<Result<void>> report(model::NodeReport) override { co_return Result<void>(); }

 private:
  async::Event never_;
};

async::Task<void> keep_running(Worker& worker, std::unique_ptr<sys::Listener> listener) {
  (void)co_await worker.run(std::move(listener));
}

constexpr Duration kForever = 24h * 365 * 50;

struct WorkerFixture : Fixture {
  explicit WorkerFixture(Duration logs_keep = kForever) {
    Config config;
    config.node = NodeId("n1");
    config.region = RegionCode("loc");
    config.state_dir = directory.path;
    config.allowed_uid = ::geteuid();
    config.logs.keep = logs_keep;
    worker = *Worker::make(host, config, driver, images, disks, fabric, control);
    tasks.spawn(keep_running(*worker, *host.network.listen(directory.socket("worker.sock"))));
    std::filesystem::create_directories(directory.path + "/machines/a1/vm");
    REQUIRE(done(until_known()));
  }
  async::Task<void> until_known() {
    while (worker->find(MachineId("a1")) == nullptr) co_await loop.sleep(1ms);
  }
  void write_lines(std::uint64_t first, std::uint64_t last) {
    std::ofstream file(directory.path + "/machines/a1/vm/output.log", std::ios::app);
    for (std::uint64_t i = first; i <= last; ++i) {
      file << vm::format_record(
          {.sequence = i, .at = {1'772'323'200'000'000'000}, .message = "line"});
    }
  }
  async::Task<Result<std::unique_ptr<http::Response>>> ask(std::string target) {
    http::RequestHead head;
    head.target = std::move(target);
    co_return co_await client.request(directory.socket("worker.sock"), std::move(head), {},
                                      loop.deadline_in(5s));
  }
  std::pair<int, std::string> get(std::string target) {
    auto response = loop.run(ask(std::move(target)));
    REQUIRE(response.has_value());
    auto body = loop.run(http::read_all((*response)->body(), 1 << 20));
    REQUIRE(body.has_value());
    return {(*response)->head.status, *body};
  }
  vm::FakeVms vms{host};
  vm::FakeDriver driver{host, vms};
  NoImages images;
  NoDisks disks;
  NoFabric fabric;
  QuietControl control{loop};
  http::Client client{host, {}};
  std::unique_ptr<Worker> worker;
  async::TaskGroup tasks{loop};
};

const std::string kLogsOfA1 = "/internal/v1/machines/a1/logs";

TEST_CASE_FIXTURE(WorkerFixture, "logs are served from a sequence number, or the last lines") {
  CHECK(get(kLogsOfA1) == std::pair<int, std::string>(200, ""));
  write_lines(1, 4);
  const std::string last =
      R"({"seq":4,"at":"2026-03-01T00:00:00.000Z","stream":"stdout","message":"line"})"
      "\n";
  const auto [status, all] = get(kLogsOfA1);
  CHECK(status == 200);
  CHECK(std::ranges::count(all, '\n') == 4);
  CHECK(all.ends_with(last));
  CHECK(get(kLogsOfA1 + "?from=4").second == last);
  CHECK(get(kLogsOfA1 + "?tail=1").second == last);
  CHECK(get(kLogsOfA1 + "?from=5").second == "");
}

async::Task<std::string> read_lines(http::Response& response, std::ptrdiff_t lines) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (std::ranges::count(text, '\n') < lines) {
    const auto n = co_await response.body().read(buffer);
    if (!n || *n == 0) co_return text + "(ended)";
    text.append(buffer.data(), *n);
  }
  co_return text;
}

TEST_CASE_FIXTURE(WorkerFixture, "followed logs go on with what comes, without a line twice") {
  write_lines(1, 3);
  auto response = loop.run(ask(kLogsOfA1 + "?follow=1&tail=2"));
  REQUIRE(response.has_value());
  const std::string first = loop.run(read_lines(**response, 2));
  CHECK(first.find("\"seq\":2,") != std::string::npos);
  CHECK(first.find("\"seq\":1,") == std::string::npos);
  write_lines(4, 5);
  const std::string more = loop.run(read_lines(**response, 2));
  CHECK(more.starts_with("{\"seq\":4,"));
  CHECK(more.find("\"seq\":5,") != std::string::npos);
}

struct OneWeekFixture : WorkerFixture {
  OneWeekFixture() : WorkerFixture(24h * 7) {}
};

TEST_CASE_FIXTURE(OneWeekFixture, "logs are filtered by text, stream and age") {
  const std::int64_t now = host.clock.wall().ns;
  std::ofstream file(directory.path + "/machines/a1/vm/output.log");
  const auto put = [&](std::uint64_t sequence, std::int64_t seconds_ago, vm::LogStream stream,
                       std::string_view message) {
    file << vm::format_record({.sequence = sequence,
                               .at = {now - seconds_ago * 1'000'000'000},
                               .stream = stream,
                               .message = message});
  };
  put(1, 8 * 86400, vm::LogStream::out, "beyond what is kept");
  put(2, 3600, vm::LogStream::out, "GET /a");
  put(3, 60, vm::LogStream::err, "GET /b");
  put(4, 1, vm::LogStream::out, "done");
  file.flush();
  const auto sequences = [&](const std::string& query) {
    std::string text;
    const std::string body = get(kLogsOfA1 + query).second;
    for (std::size_t at = body.find("\"seq\":"); at != std::string::npos;
         at = body.find("\"seq\":", at + 1)) {
      text += body[at + 6];
    }
    return text;
  };
  CHECK(sequences("") == "234");
  CHECK(sequences("?search=GET") == "23");
  CHECK(sequences("?search=GET&tail=1") == "3");
  CHECK(sequences("?stream=stderr") == "3");
  CHECK(sequences(fmt::format("?since={}", now - 120 * 1'000'000'000LL)) == "34");
  CHECK(get(kLogsOfA1 + "?stream=x").first == 400);
  CHECK(get(kLogsOfA1 + "?search=" + std::string(1025, 'x')).first == 400);
}

TEST_CASE_FIXTURE(WorkerFixture, "the output of a machine that is gone is served for its app") {
  const std::string name = fmt::format("{}-5-b2", host.clock.wall().ns / 1'000'000'000);
  const std::string place = directory.path + "/logs/hello/" + name;
  std::filesystem::create_directories(place);
  std::ofstream(place + "/output.log")
      << vm::format_record({.sequence = 7, .at = host.clock.wall(), .message = "last words"});
  CHECK(get("/internal/v1/archived-logs?app=hello").second == "{\"machines\":[\"b2\"]}\n");
  CHECK(get("/internal/v1/archived-logs?app=other").second == "{\"machines\":[]}\n");
  CHECK(get("/internal/v1/machines/b2/logs?app=hello").second.find("last words") !=
        std::string::npos);
  CHECK(get("/internal/v1/machines/b2/logs?app=other").first == 404);
  CHECK(get("/internal/v1/machines/b2/logs").first == 404);
}

TEST_CASE_FIXTURE(WorkerFixture, "what is not there or not a number is refused by name") {
  CHECK(get("/internal/v1/machines/zz/logs") ==
        std::pair<int, std::string>(
            404, "{\"error\":\"machine zz: not on this node\",\"status\":\"not_found\"}\n"));
  CHECK(get(kLogsOfA1 + "?tail=x").first == 400);
  CHECK(get(kLogsOfA1 + "?tail=x").second.find("tail: not a number from 0 to 10000") !=
        std::string::npos);
  CHECK(get("/nowhere").first == 404);
  CHECK(get("/internal/v1/status").second.find("\"accelerator\":\"fake\"") != std::string::npos);
}

}  // namespace
}  // namespace perigee::worker
