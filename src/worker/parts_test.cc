// The worker's smaller parts: addresses, the guest's process, the feed, records on disk.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>

#include "model/json.h"
#include "sim/simulation.h"
#include "worker/addresses.h"
#include "worker/feed.h"
#include "worker/guest_process.h"
#include "worker/limits.h"
#include "worker/machine_limits.h"
#include "worker/machine_record.h"
#include "worker/machine_store.h"

namespace perigee::worker {
namespace {

// ---- addresses ----

TEST_CASE("addresses are given out in turn and used again as late as possible") {
  AddressPool pool = AddressPool::open("10.9.0.0/29").value();
  CHECK(pool.gateway() == "10.9.0.1");
  CHECK(pool.take().value() == "10.9.0.2");
  CHECK(pool.take().value() == "10.9.0.3");
  pool.give_back("10.9.0.2");
  CHECK(pool.take().value() == "10.9.0.4");
  CHECK(pool.take().value() == "10.9.0.5");
  CHECK(pool.take().value() == "10.9.0.6");
  CHECK(pool.take().value() == "10.9.0.2");
  const auto full = pool.take();
  REQUIRE_FALSE(full.has_value());
  CHECK(full.error().code == Code::resource_exhausted);
}

TEST_CASE("an address has a number and goes with an IPv6 address") {
  const auto pool = AddressPool::open("10.201.0.0/16");
  REQUIRE(pool.has_value());
  CHECK(pool->number_of("10.201.0.2") == 2);
  CHECK(pool->number_of("10.201.1.0") == 256);
  CHECK(embedded_address("fd12:3456:789a::", "10.201.0.2") == "fd12:3456:789a::ac9:2");
}

TEST_CASE("a machine's limits are its size's where its configuration says none") {
  model::MachineConfig config;
  config.guest = {.cpu_kind = "performance", .cpus = 2, .memory_mib = 512};
  CHECK((limits_of(config) == model::MachineLimits{225, 1000, 8000, 128}));
  config.limits = {.cpu_percent = 50, .disk_iops = 10};
  CHECK((limits_of(config) == model::MachineLimits{50, 1000, 10, 128}));
  CHECK(vm_limits(config).cpu_weight == 50);
  config.limits = {};
  CHECK(vm_limits(config).cpu_weight == 200);
  config.guest.cpu_kind = "shared";
  CHECK(vm_limits(config).cpu_weight == 50);
  config.limits.cpu_percent = 1;
  CHECK(vm_limits(config).cpu_weight == 1);
}

TEST_CASE("addresses on record are reserved once, and foreign ones refused") {
  AddressPool pool = AddressPool::open("10.201.0.0/16").value();
  CHECK(pool.reserve("10.201.0.9"));
  CHECK_FALSE(pool.reserve("10.201.0.9"));
  CHECK_FALSE(pool.reserve("10.201.0.1"));  // the gateway
  CHECK_FALSE(pool.reserve("10.202.0.9"));
  CHECK_FALSE(pool.reserve("nonsense"));
  CHECK(pool.take().value() == "10.201.0.10");
}

TEST_CASE("a network that can't be is refused with its reason") {
  for (const char* text :
       {"", "10.0.0.0", "10.0.0.0/30", "10.0.0.0/x", "10.0.0/16", "1.2.3.4/16"}) {
    const auto pool = AddressPool::open(text);
    CAPTURE(text);
    REQUIRE_FALSE(pool.has_value());
    CHECK(pool.error().context.starts_with("worker.network"));
  }
}

// ---- the guest's process ----

model::Machine some_machine() {
  model::Machine machine;
  machine.id = MachineId("148e1234567890");
  machine.name = "quiet-river-1";
  machine.app = AppName("hello");
  machine.region = RegionCode("loc");
  machine.node = NodeId("n1");
  machine.instance_id = "01J";
  machine.config.image = "127.0.0.1:5000/hello:1";
  return machine;
}

TEST_CASE("the image's process is joined with the machine's") {
  const image::Config image{.entrypoint = {"/entry"},
                            .cmd = {"serve"},
                            .env = {"PATH=/bin", "MODE=image"},
                            .user = "app",
                            .directory = "/srv",
                            .stop_signal = {},
                            .architecture = {},
                            .exposed_ports = {}};
  model::Machine machine = some_machine();
  machine.config.env = {{"MODE", "machine"}, {"FLY_REGION", "spoofed"}};
  const auto process = guest_process(image, machine, "10.201.0.2").value();
  CHECK(process.argv == std::vector<std::string>{"/entry", "serve"});
  CHECK(process.user == "app");
  CHECK(process.directory == "/srv");
  CHECK(process.env[0] == "PATH=/bin");
  CHECK(process.env[1] == "MODE=machine");
  CHECK(process.env[2] == "FLY_REGION=loc");
  CHECK(std::ranges::count(process.env, "PERIGEE_APP_NAME=hello") == 1);
  CHECK(std::ranges::count(process.env, "FLY_PRIVATE_IP=10.201.0.2") == 1);

  machine.config.init.cmd = std::vector<std::string>{"migrate"};
  CHECK(guest_process(image, machine, "")->argv == std::vector<std::string>{"/entry", "migrate"});
  machine.config.init.entrypoint = std::vector<std::string>{};
  CHECK(guest_process(image, machine, "")->argv == std::vector<std::string>{"migrate"});
  machine.config.init.exec = std::vector<std::string>{"/bin/sh", "-c", "x"};
  CHECK(guest_process(image, machine, "")->argv == std::vector<std::string>{"/bin/sh", "-c", "x"});
  CHECK_FALSE(guest_process(image, machine, "")->tty);
  machine.config.init.tty = true;
  CHECK(guest_process(image, machine, "")->tty);
}

TEST_CASE("an image without a command is refused by name") {
  const auto process = guest_process({}, some_machine(), "");
  REQUIRE_FALSE(process.has_value());
  CHECK(process.error().context.starts_with(
      "image 127.0.0.1:5000/hello:1: it has neither ENTRYPOINT nor CMD"));
}

// ---- the feed ----

class Recorder : public FeedSink {
 public:
  std::string log;
  void machine_wanted(model::Machine machine) override { log += "+" + machine.id.str() + " "; }
  void machine_gone(MachineId id) override { log += "-" + id.str() + " "; }
  void synced(const std::set<MachineId>& machines) override {
    log += "=" + std::to_string(machines.size()) + " ";
  }
  void volume_wanted(model::Volume volume) override { log += "+" + volume.id.str() + " "; }
  void volume_gone(VolumeId id) override { log += "-" + id.str() + " "; }
  void registry_wanted(model::RegistryLogin login) override { log += "+" + login.username + " "; }
  void registry_gone(std::string registry) override { log += "-" + registry + " "; }
  void registries_synced(const std::set<std::string>& registries) override {
    if (!registries.empty()) log += fmt::format("registries{} ", registries.size());
  }
  void volumes_synced(const std::set<VolumeId>& volumes) override {
    if (!volumes.empty()) log += "volumes=" + std::to_string(volumes.size()) + " ";
  }
  void names_told(model::AppNames names) override { log += "names:" + names.app.str() + " "; }
  void names_gone(AppName app) override { log += "-names:" + app.str() + " "; }
  void names_synced(const std::set<AppName>& apps) override {
    if (!apps.empty()) log += "names=" + std::to_string(apps.size()) + " ";
  }
};

std::string change_line(int revision, const std::string& id) {
  model::Machine machine = some_machine();
  machine.id = MachineId(id);
  return json::object({{"revision", revision},
                       {"key", "/machines/" + id},
                       {"value", model::to_json(machine)}})
             .dump() +
         "\n";
}

TEST_CASE("a feed is read in any pieces, and says where to go on") {
  const std::string text = R"({"version":1,"epoch":"e1","revision":7,"snapshot":true,"new":1})"
                           "\n" +
                           change_line(7, "a1") + change_line(7, "b2") +
                           R"({"revision":7,"synced":true})"
                           "\n{}\n" +
                           change_line(8, "c3") +
                           R"({"revision":9,"key":"/machines/a1","value":null})"
                           "\n";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, text.size()}) {
    Recorder recorder;
    FeedDecoder decoder(recorder);
    feed::Reader reader(decoder, kMaxFeedLine);
    CHECK(reader.position() == "");
    for (std::size_t at = 0; at < text.size(); at += piece) {
      REQUIRE(reader.feed(std::string_view(text).substr(at, piece)).has_value());
    }
    CHECK(recorder.log == "+a1 +b2 =2 +c3 -a1 ");
    CHECK(reader.position() == "e1-9");
  }
}

TEST_CASE("log-ins at registries come by the feed, and a name that differs from its key does not") {
  const model::RegistryLogin login{.registry = "ghcr.io",
                                   .username = "me",
                                   .sealed_password = "sealed1:k:AAAA",
                                   .digest = {},
                                   .created_at = {},
                                   .updated_at = {}};
  const auto line = [&login](const std::string& key) {
    return json::object(
               {{"revision", 7}, {"key", "/registries/" + key}, {"value", model::to_json(login)}})
               .dump() +
           "\n";
  };
  Recorder recorder;
  FeedDecoder decoder(recorder);
  feed::Reader reader(decoder, kMaxFeedLine);
  REQUIRE(reader
              .feed(R"({"version":1,"epoch":"e1","revision":7,"snapshot":true})"
                    "\n" +
                    line("ghcr.io") + line("quay.io") +
                    R"({"revision":7,"synced":true}
{"revision":8,"key":"/registries/ghcr.io","value":null}
)")
              .has_value());
  CHECK(recorder.log == "+me registries2 =0 -ghcr.io ");
}

TEST_CASE("names of apps come by the feed, and those that a snapshot lacks are known to be gone") {
  Recorder recorder;
  FeedDecoder decoder(recorder);
  feed::Reader reader(decoder, kMaxFeedLine);
  const model::AppNames names{.app = AppName("hello"),
                              .machines = {{MachineId("m1"), RegionCode("fra"), "fd00::1"}}};
  const auto line = [&names](const std::string& app) {
    return json::object(
               {{"revision", 7}, {"key", "/names/" + app}, {"value", model::to_json(names)}})
               .dump() +
           "\n";
  };
  REQUIRE(reader
              .feed(R"({"version":1,"epoch":"e1","revision":7,"snapshot":true})"
                    "\n" +
                    line("hello") + line("other") +  // the second one's key is another
                    R"({"revision":7,"synced":true}
{"revision":8,"key":"/names/hello","value":null}
)")
              .has_value());
  CHECK(recorder.log == "names:hello names=2 =0 -names:hello ");
}

TEST_CASE("volumes come by the feed as machines do, and are all told before the machines are") {
  model::Volume volume;
  volume.id = VolumeId("vol_1");
  volume.size_mib = 64;
  const std::string wanted =
      json::object({{"revision", 7}, {"key", "/volumes/vol_1"}, {"value", model::to_json(volume)}})
          .dump();
  Recorder recorder;
  FeedDecoder decoder(recorder);
  feed::Reader reader(decoder, kMaxFeedLine);
  REQUIRE(reader
              .feed(R"({"version":1,"epoch":"e1","revision":7,"snapshot":true})"
                    "\n" +
                    change_line(7, "a1") + wanted +
                    R"(
{"revision":7,"synced":true}
{"revision":8,"key":"/volumes/vol_1","value":null}
)")
              .has_value());
  CHECK(recorder.log == "+a1 +vol_1 volumes=1 =1 -vol_1 ");
}

TEST_CASE("a snapshot that broke off is asked for again, changes of another history are refused") {
  Recorder recorder;
  FeedDecoder decoder(recorder);
  feed::Reader reader(decoder, kMaxFeedLine);
  const std::string opening = R"({"version":1,"epoch":"e1","revision":7,"snapshot":true})"
                              "\n";
  REQUIRE(reader.feed(opening + change_line(7, "a1")).has_value());
  reader.restart();
  CHECK(reader.position() == "");
  REQUIRE(reader
              .feed(opening + R"({"revision":7,"synced":true})"
                              "\n")
              .has_value());
  CHECK(reader.position() == "e1-7");
  reader.restart();
  const auto other = reader.feed(R"({"version":1,"epoch":"e2","revision":8,"snapshot":false})"
                                 "\n");
  CHECK_FALSE(other.has_value());
  CHECK(reader.position() == "");
}

TEST_CASE("bad feed input is an error that says what; one bad machine stops no others") {
  struct Case {
    std::string text;
    std::string error;
  };
  const std::string opening = R"({"version":1,"epoch":"e","revision":1,"snapshot":true})"
                              "\n";
  const std::vector<Case> cases{
      {"nonsense\n", "feed: "},
      {"[]\n", "feed: a line is not an object"},
      {R"({"version":2,"epoch":"e","revision":1})"
       "\n",
       "feed: version 2"},
      {opening + R"({"key":"/machines/a"})"
                 "\n",
       "feed: revision"},
      {std::string(kMaxFeedLine + 1, 'x'), "feed: a line is longer"},
  };
  for (const Case& c : cases) {
    Recorder recorder;
    FeedDecoder decoder(recorder);
    feed::Reader reader(decoder, kMaxFeedLine);
    const auto read = reader.feed(c.text);
    REQUIRE_FALSE(read.has_value());
    CAPTURE(read.error().context);
    CHECK(read.error().context.starts_with(c.error));
  }
  Recorder recorder;
  FeedDecoder decoder(recorder);
  feed::Reader reader(decoder, kMaxFeedLine);
  REQUIRE(reader
              .feed(opening +
                    R"({"revision":1,"key":"/machines/x","value":{"id":5}})"
                    "\n" +
                    change_line(1, "a1") +
                    R"({"revision":1,"synced":true})"
                    "\n")
              .has_value());
  CHECK(recorder.log == "+a1 =2 ");  // the bad one counts as there: it is not cleaned away
}

// ---- records on disk ----

TEST_CASE("a record survives the disk, and rubbish beside it is found") {
  sim::Simulation simulation(1);
  sim::Node& node = simulation.add_node("n");
  MachineStore store(node.disk(), "/state/machines");
  Record record = new_record(some_machine());
  order_boot(record, {1'772'323'200'000'000'000});
  record.restarts = {{1'772'323'200'000'000'000}};
  record.resume = true;
  record.status.private_ip = "10.201.0.2";
  CHECK(simulation.run(store.save(record)).has_value());
  CHECK(simulation.run(node.disk().make_directories("/state/machines/orphan1", 0700)).has_value());
  CHECK(simulation.run(node.disk().make_directories("/state/machines/broken2", 0700)).has_value());
  CHECK(simulation
            .run(node.disk().write_file("/state/machines/broken2/machine.json", "{\"a\":", 0600,
                                        sys::Durability::synced))
            .has_value());
  const auto loaded = simulation.run(store.load()).value();
  REQUIRE(loaded.records.size() == 1);
  CHECK(loaded.records[0] == record);
  CHECK(loaded.orphans == std::vector{MachineId("broken2"), MachineId("orphan1")});
  CHECK(simulation.run(store.remove(record.machine.id)).has_value());
  CHECK(simulation.run(store.load())->records.empty());
}

TEST_CASE("ids that could leave the directory are refused") {
  for (const char* id : {"", ".", "..", "a/b", "A1", "a.b", "0123456789012345678901234567890123"}) {
    CHECK_FALSE(is_safe_id(MachineId(id)));
  }
  CHECK(is_safe_id(MachineId("148e1234567890")));
}

}  // namespace
}  // namespace perigee::worker
