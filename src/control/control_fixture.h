// A whole control on real loopback sockets for tests: MemoryStore, images that resolve without a
// registry, a worker.sock that serves canned logs, and reports made by hand.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>

#include "api/endpoint.h"
#include "api/tokens.h"
#include "async/combine.h"
#include "async/task_group.h"
#include "base/text.h"
#include "control/control.h"
#include "http/client.h"
#include "http/server.h"
#include "model/json.h"
#include "store/memory_store.h"
#include "sys/posix_host.h"

namespace perigee::control {

// A text as a body.
class TextBody : public http::Body {
 public:
  explicit TextBody(std::string text) : text_(std::move(text)) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    const std::size_t n = text_.copy(into.data(), into.size(), at_);
    at_ += n;
    co_return n;
  }
  std::optional<std::uint64_t> length() const override { return text_.size(); }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

class FakeImages : public Images {
 public:
  async::Task<Result<model::ImageRef>> resolve(std::string image, image::Login login) override {
    last_login = std::move(login);
    if (image.starts_with("missing")) co_return fail(Code::not_found, "no such image");
    co_return model::ImageRef{"registry.test", image, "1", "sha256:" + std::string(64, 'a')};
  }
  async::Task<Result<bool>> has_blob(std::string digest) override {
    co_return blobs.contains(digest);
  }
  async::Task<Result<std::vector<std::string>>> missing_blobs(std::string digest) override {
    std::vector<std::string> missing;
    if (!blobs.contains(digest)) missing.push_back(std::move(digest));
    co_return missing;
  }
  async::Task<Result<void>> put_blob(std::string digest, http::Body& body) override {
    CO_TRY(std::string text, co_await http::read_all(body, 1 << 20));
    if (text == "corrupt") co_return fail(Code::data_loss, "the digest is another");
    blobs[digest] = std::move(text);
    co_return Result<void>();
  }
  async::Task<Result<std::unique_ptr<http::Body>>> open_blob(std::string digest) override {
    const auto found = blobs.find(digest);
    if (found == blobs.end()) co_return fail(Code::not_found, "blob {} is not here", digest);
    co_return std::make_unique<TextBody>(found->second);
  }
  std::map<std::string, std::string> blobs;
  image::Login last_login;  // that an image was resolved with
};

// A store that stops answering after a number of commits, as if the machine lost power then: the
// next commit is carried out (or not) and its caller never hears.
class StallingStore : public store::Store {
 public:
  enum class Last { applied, dropped };
  explicit StallingStore(async::Loop& loop) : inner_(loop), never_(loop) {}
  void stall_after(int commits, Last last) {
    left_ = commits;
    last_ = last;
    stalled_ = false;
  }
  void resume() { left_.reset(); }
  bool stalled() const { return stalled_; }

  async::Task<Result<std::optional<store::Entry>>> get(std::string key) override {
    return inner_.get(std::move(key));
  }
  async::Task<Result<store::Listing>> list(std::string prefix) override {
    return inner_.list(std::move(prefix));
  }
  Result<std::unique_ptr<store::Watch>> watch(std::string prefix, store::Revision after) override {
    return inner_.watch(std::move(prefix), after);
  }
  async::Task<Result<store::Revision>> commit(store::Transaction transaction) override {
    if (!left_ || (*left_)-- > 0) co_return co_await inner_.commit(std::move(transaction));
    const bool first = !std::exchange(stalled_, true);
    if (first && last_ == Last::applied) {
      [[maybe_unused]] const auto done = co_await inner_.commit(std::move(transaction));
    }
    for (;;) co_await never_.wait();
  }

 private:
  store::MemoryStore inner_;
  std::optional<int> left_;
  Last last_ = Last::applied;
  bool stalled_ = false;
  async::Notify never_;
};

// worker.sock: the same lines for every machine, then, followed, whatever is added.
class FakeWorker {
 public:
  explicit FakeWorker(sys::Host& host) : changed_(host.loop) {
    table_.stream(
        "GET", "/internal/v1/machines/{machine}/logs", api::open_to_all(),
        [this](api::Call& call, http::ResponseWriter& response) { return logs(call, response); });
  }
  void add(std::string message) {
    lines_.push_back(std::move(message));
    changed_.notify_all();
  }
  api::RouteTable table_;
  std::string asked;  // the target of the last question for logs

 private:
  async::Task<Result<void>> logs(api::Call& call, http::ResponseWriter& response) {
    asked = call.request.head.target;
    CO_TRY_VOID(co_await response.start(api::response_head(call.request, 200, "")));
    const auto from = call.query("from");
    for (std::size_t i = from && *from != "0" ? std::stoul(*from) - 1 : 0;; ++i) {
      while (i >= lines_.size() && call.flag("follow")) co_await changed_.wait();
      if (i >= lines_.size()) co_return co_await response.finish();
      const json::Value line = json::object({{"seq", static_cast<std::int64_t>(i + 1)},
                                             {"at", fmt::format("2026-01-01T00:00:{:02}Z", i)},
                                             {"stream", "stdout"},
                                             {"message", lines_[i]}});
      const std::string text = line.dump() + "\n";
      CO_TRY_VOID(co_await response.write(text));
    }
  }
  std::vector<std::string> lines_;
  async::Notify changed_;
};

struct Got {
  int status = 0;
  json::Value body;
  std::string text;
};

inline async::Task<Result<Got>> ask(http::Client& client, sys::Address to, http::RequestHead head,
                                    std::string body, Deadline deadline) {
  CO_TRY(auto response, co_await client.request(to, std::move(head), std::move(body), deadline));
  CO_TRY(std::string text, co_await http::read_all(response->body(), 1 << 22));
  auto parsed = json::parse(text);
  co_return Got{response->head.status, parsed ? *parsed : json::Value(), std::move(text)};
}

struct ControlFixture {
  static std::string make_directory() {
    std::string pattern = "/tmp/perigee-ctl-XXXXXX";
    return ::mkdtemp(pattern.data());
  }
  ControlFixture() {
    auto socket = *h().network.listen(*sys::Address::unix_path(directory + "/worker.sock"));
    worker_group.spawn(worker_server.serve(std::move(socket)));
    REQUIRE(loop().run(secrets::KeyFile::ensure(h(), directory + "/keys.json")).has_value());
    keys = *loop().run(secrets::KeyFile::open(h(), directory + "/keys.json"));
    certificates =
        *loop().run(Certificates::open(h(), *keys, directory + "/ca.pem", directory + "/ca.key"));
    config.own_uid = ::getuid();
    config.router_uid = ::getuid();
    config.times = {.start = 60s,
                    .listen = 60s,
                    .stable = 50ms,
                    .drain = 20ms,
                    .challenge = 20ms,
                    .key_retirement = 100ms};
    start();
  }
  ~ControlFixture() {
    group.reset();
    control.reset();
    std::filesystem::remove_all(directory);
  }

  // Also after kill(): a new control over the same store.
  void start() {
    control = std::make_unique<Control>(
        h(), config,
        ControlParts{store, images, worker_link, router_link, *certificates, *keys, authority});
    REQUIRE(loop().run(control->load("secret")).has_value());
    auto api = *h().network.listen(*sys::Address::parse("127.0.0.1:0"));
    auto internal = *h().network.listen(*sys::Address::unix_path(directory + "/control.sock"));
    api_address = api->local();
    internal_address = internal->local();
    std::vector<std::unique_ptr<sys::Listener>> listeners;
    listeners.push_back(std::move(api));
    group = std::make_unique<async::TaskGroup>(loop());
    group->spawn(control->run(std::move(listeners), std::move(internal)));
  }
  void kill() {
    group.reset();
    control.reset();
  }

  async::Loop& loop() { return host->loop(); }
  sys::Host& h() { return host->host(); }
  void pass(Duration d) { loop().run(pause(loop(), d)); }
  static async::Task<void> pause(async::Loop& loop, Duration d) { co_await loop.sleep(d); }

  http::RequestHead request(std::string method, std::string target) {
    http::RequestHead head{.method = std::move(method), .target = std::move(target)};
    head.headers.set("Host", "api");
    head.headers.set("Authorization", "Bearer secret");
    return head;
  }
  Got call(std::string method, std::string target, std::string body = {}) {
    auto got = loop().run(ask(client, api_address, request(method, target), std::move(body),
                              loop().deadline_in(20s)));
    REQUIRE_MESSAGE(got.has_value(), target);
    return *std::move(got);
  }
  int internal(std::string method, std::string target, std::string body) {
    auto got = loop().run(ask(client, internal_address, request(method, target), std::move(body),
                              loop().deadline_in(20s)));
    REQUIRE(got.has_value());
    return got->status;
  }

  model::NodeReport node(std::int64_t memory_mib = 4096) const {
    model::NodeReport report;
    report.node = NodeId("n1");
    report.region = RegionCode("iad");
    report.boot_id = "b";
    report.cpus = 2;
    report.memory_mib = memory_mib;
    report.memory_free_mib = memory_mib;
    report.accelerator = "tcg";
    report.disk_free_mib = 10'000;
    return report;
  }
  void send(const model::NodeReport& report) {
    REQUIRE(internal("POST", "/internal/v1/nodes/n1/report", model::to_json(report).dump()) == 204);
  }

  // What a worker would say of the desired machines: all done, after `change` had its way.
  using Change = std::function<void(const model::Machine&, model::MachineStatus&)>;
  void work(const Change& change = {}) {
    model::NodeReport report = node();
    for (const auto& entry : loop().run(store.list("/machines/"))->entries) {
      const model::Machine machine = *model::machine_from(*json::parse(entry.value));
      model::MachineStatus status;
      status.id = machine.id;
      status.instance_id = machine.instance_id;
      status.acted_sequence = machine.desired_sequence;
      status.private_ip = fmt::format("10.201.0.{}", report.machines.size() + 2);
      using model::DesiredState;
      using model::MachineState;
      status.state = machine.desired == DesiredState::started     ? MachineState::started
                     : machine.desired == DesiredState::stopped   ? MachineState::stopped
                     : machine.desired == DesiredState::suspended ? MachineState::suspended
                                                                  : MachineState::destroyed;
      status.listening = machine.desired == DesiredState::started;
      if (status.listening) status.started_at = h().clock.wall();
      if (change) change(machine, status);
      report.machines.push_back(std::move(status));
    }
    report.volumes = volumes_as_wanted();
    send(report);
  }
  std::vector<model::VolumeStatus> volumes_as_wanted() {
    std::vector<model::VolumeStatus> out;
    for (const auto& entry : loop().run(store.list("/volumes/"))->entries) {
      const model::Volume volume = *model::volume_from(*json::parse(entry.value));
      model::VolumeStatus status;
      status.id = volume.id;
      status.state = volume.destroyed ? model::VolumeState::destroyed : model::VolumeState::created;
      status.size_mib = volume.size_mib;
      status.used_mib = 1;
      for (const model::Snapshot& snapshot : volume.snapshots)
        status.snapshots.push_back({.id = snapshot.id, .size_mib = 1});
      out.push_back(std::move(status));
    }
    return out;
  }

  // The routes feed as it is now: its opening line and the newest value of each key.
  struct Routes {
    std::string epoch;
    std::int64_t revision = 0;
    std::map<std::string, json::Value> values;
  };
  Routes routes() {
    auto response = loop().run(client.request(
        internal_address, request("GET", "/internal/v1/feed/routes"), {}, loop().deadline_in(20s)));
    REQUIRE(response.has_value());
    std::string text;
    std::string buffer(1 << 16, ' ');
    while (text.find("\"synced\"") == std::string::npos) {
      const auto n = loop().run((*response)->body().read(buffer));
      REQUIRE(n.value_or(0) > 0);
      text.append(buffer, 0, *n);
    }
    Routes out;
    for (const std::string_view line : split(text, '\n')) {
      const auto value = json::parse(line);
      if (!value || !value->is_object()) continue;
      if (const json::Value* epoch = value->find("epoch")) out.epoch = *epoch->string();
      if (const json::Value* revision = value->find("revision"))
        out.revision = *revision->integer();
      if (const json::Value* key = value->find("key"))
        out.values[*key->string()] = *value->find("value");
    }
    return out;
  }
  // What a router that follows the routes says: `in_flight` requests at one machine.
  void report_loads(const std::string& machine, int in_flight) {
    const Routes now = routes();
    json::Value machines = json::array();
    if (!machine.empty())
      machines.push(
          json::object({{"machine", machine}, {"in_flight", in_flight}, {"requests", 1}}));
    const json::Value body = json::object(
        {{"epoch", now.epoch}, {"revision", now.revision}, {"machines", std::move(machines)}});
    REQUIRE(internal("POST", "/internal/v1/routers/r1/loads", body.dump()) == 204);
  }

  // Waits until `condition` holds, looking at every change for at most ten seconds.
  template <typename F>
  bool eventually(F condition) {
    for (int i = 0; i < 500; ++i) {
      if (condition()) return true;
      pass(20ms);
    }
    return false;
  }
  json::Value machines(const std::string& app) {
    return call("GET", "/v1/apps/" + app + "/machines").body;
  }
  std::string release_status(const std::string& app, int version) {
    return *call("GET", fmt::format("/v1/apps/{}/releases/{}", app, version))
                .body.find("status")
                ->string();
  }

  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(2);
  std::string directory = make_directory();
  WorkerLink worker_link{host->host(), {NodeId("n1"), directory + "/worker.sock", {}}};
  RouterLink router_link{host->host(), {NodeId("n1"), directory + "/router.sock", {}}};
  StallingStore store{host->loop()};
  FakeImages images;
  FakeWorker worker{host->host()};
  api::Endpoint worker_endpoint{"worker", worker.table_};
  http::Server worker_server{host->host(), worker_endpoint, {}};
  async::TaskGroup worker_group{host->loop()};
  std::unique_ptr<secrets::KeyFile> keys;
  std::unique_ptr<Certificates> certificates;
  acme::Client* authority = nullptr;
  ControlConfig config;
  http::Client client{host->host(), {}};
  sys::Address api_address;
  sys::Address internal_address;
  std::unique_ptr<Control> control;
  std::unique_ptr<async::TaskGroup> group;
};

inline constexpr const char* kHello =
    R"({"image": "hello:1", "config": {"services": [{"internal_port": 8080,
        "ports": [{"port": 80, "handlers": ["http"]}]}]}})";

}  // namespace perigee::control
