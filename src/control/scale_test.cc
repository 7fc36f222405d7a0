// Regions, counts, nodes that drain and nodes that are lost, through a whole control with several
// nodes that report.
#include <doctest/doctest.h>

#include <algorithm>

#include "control/fleet_fixture.h"

namespace perigee::control {
namespace {

struct Fleet : FleetFixture {
  Fleet() {
    add_node("fra-1", "fra");
    add_node("iad-1", "iad");
    add_node("iad-2", "iad");
    create();
  }
  Got set_regions(const std::string& body) { return call("PUT", "/v1/apps/hello/regions", body); }
  Got scale(const std::string& body) { return call("POST", "/v1/apps/hello/scale", body); }
  bool runs_at(const std::string& nodes) {
    return becomes([&] { return where() == nodes; });
  }
  // Nothing more happens.
  bool stays_at(const std::string& nodes, int rounds = 10) {
    for (int i = 0; i < rounds; ++i) {
      report_all();
      if (where() != nodes) return false;
      pass(30ms);
    }
    return true;
  }
  bool all_given_back() {  // machines that were destroyed are forgotten
    return becomes([&] {
      return std::ranges::none_of(wanted(), [](const model::Machine& each) {
        return each.desired == model::DesiredState::destroyed;
      });
    });
  }
};

TEST_CASE_FIXTURE(Fleet, "the fleet's regions are listed with their city and what they hold") {
  const Got got = call("GET", "/v1/regions");
  const auto& regions = got.body.find("regions")->items();
  REQUIRE(regions.size() == 2);
  CHECK(*regions[0].find("code")->string() == "fra");
  CHECK(*regions[0].find("city")->string() == "Frankfurt, Germany");
  CHECK(regions[1].find("nodes")->integer() == 2);
  CHECK(regions[1].find("nodes_ready")->integer() == 2);
  CHECK(regions[1].find("memory_mib")->integer() == 8192);
}

TEST_CASE_FIXTURE(Fleet, "a deploy makes a machine in each of the app's regions") {
  CHECK(set_regions(R"({"regions": ["iad", "fra"]})").status == 200);
  deploy(1);
  CHECK((where() == "fra-1 iad-1" || where() == "fra-1 iad-2"));
  deploy(2);
  CHECK((where() == "fra-1 iad-1" || where() == "fra-1 iad-2"));
  CHECK(stays_at(where()));
}

TEST_CASE_FIXTURE(Fleet, "an app in all regions comes to a region that joins later") {
  CHECK(set_regions(R"({"all": true})").status == 200);
  deploy(1);
  add_node("syd-1", "syd");
  REQUIRE(becomes([&] { return where().ends_with("syd-1"); }));
  CHECK(wanted().size() == 3);
  CHECK(stays_at(where()));
  const Got regions = call("GET", "/v1/apps/hello/regions");
  CHECK(regions.body.find("all")->boolean() == true);
  CHECK(regions.body.find("regions")->items().size() == 3);
}

TEST_CASE_FIXTURE(Fleet, "a count is spread over regions and their nodes, and told why") {
  set_regions(R"({"regions": ["iad", "fra"]})");
  deploy(1);
  const Got got = scale(R"({"count": 3})");
  REQUIRE(got.status == 200);
  const auto& targets = got.body.find("targets")->items();
  REQUIRE(targets.size() == 2);
  CHECK(*targets[0].find("region")->string() == "iad");
  CHECK(targets[0].find("want")->integer() == 2);
  CHECK(*targets[0].find("why")->string() == "3 machines over its regions");
  CHECK(runs_at("fra-1 iad-1 iad-2"));
  scale(R"({"count": 1})");
  REQUIRE(becomes([&] { return wanted().size() == 1; }));
  CHECK(where().starts_with("iad"));
  CHECK(stays_at(where()));
}

TEST_CASE_FIXTURE(Fleet, "a machine too many leaves the routes before it ends") {
  set_regions(R"({"regions": ["iad", "fra"]})");
  deploy(1);
  kill();
  config.times.drain = 300ms;
  start();
  const auto targets = [&] {
    return routes().values.at("/routes/hello").find("targets")->items().size();
  };
  const auto going = [&] {
    return std::ranges::count(wanted(), model::DesiredState::destroyed, &model::Machine::desired);
  };
  REQUIRE(becomes([&] { return targets() == 2; }));
  scale(R"({"count": 1})");
  REQUIRE(becomes([&] { return targets() == 1; }));
  CHECK(going() == 0);
  CHECK(becomes([&] { return wanted().size() == 1; }));
}

TEST_CASE_FIXTURE(Fleet, "one region's count leaves the others as they are") {
  set_regions(R"({"regions": ["iad", "fra"]})");
  deploy(1);
  CHECK(scale(R"({"count": 3, "region": "fra"})").status == 200);
  CHECK(becomes([&] { return where().starts_with("fra-1 fra-1 fra-1 iad-"); }));
  CHECK(wanted().size() == 4);
  CHECK(scale(R"({"count": 0, "region": "iad"})").status == 200);
  CHECK(runs_at("fra-1 fra-1 fra-1"));
  CHECK(scale(R"({"count": null})").status == 200);  // one in each again
  CHECK(becomes([&] { return wanted().size() == 2; }));
}

TEST_CASE_FIXTURE(Fleet, "an app is scaled to nothing and back") {
  deploy(1, R"({"image": "hello:1", "region": "iad"})");
  CHECK(scale(R"({"count": 0})").status == 200);
  CHECK(runs_at(""));
  CHECK(scale(R"({"count": 2})").status == 200);
  CHECK(runs_at("iad-1 iad-2"));
}

TEST_CASE_FIXTURE(Fleet, "what is wrong with regions or a count is named") {
  const auto complaint = [](const Got& got) { return *got.body.find("error")->string(); };
  CHECK(complaint(set_regions(R"({"regions": ["syd"]})")) ==
        "regions: syd: no node is there; see `perigee regions list`");
  CHECK(complaint(set_regions(R"({})")) == "regions: missing; give a list, or \"all\": true");
  CHECK(complaint(set_regions(R"({"all": true, "regions": ["iad"]})")) ==
        "all: goes without `regions`");
  CHECK(complaint(scale(R"({"count": 1000})")) ==
        "count: from 0 to 256, or null for one in each region");
  CHECK(complaint(scale(R"({"region": "iad"})")) == "count: missing, for region iad");
  CHECK(set_regions(R"({"regions": ["iad"]})").status == 200);
  const Got last = call("POST", "/v1/apps/hello/regions", R"({"remove": ["iad"]})");
  CHECK(last.status == 400);
  CHECK(complaint(last).starts_with("no region would be left"));
  CHECK(complaint(call("POST", "/v1/apps/hello/regions", R"({"remove": ["fra"]})")) ==
        "region fra: the app is not there");
}

TEST_CASE_FIXTURE(Fleet, "regions are added to and removed from what is there") {
  deploy(1, R"({"image": "hello:1", "region": "iad"})");
  CHECK(call("POST", "/v1/apps/hello/regions", R"({"add": ["fra"]})").status == 200);
  REQUIRE(becomes([&] { return where().starts_with("fra-1 iad-"); }));
  CHECK(call("POST", "/v1/apps/hello/regions", R"({"remove": ["iad"]})").status == 200);
  CHECK(runs_at("fra-1"));
}

TEST_CASE_FIXTURE(Fleet, "a deploy leaves out a region none of whose nodes reports, and says so") {
  set_regions(R"({"all": true})");
  cut_off("fra-1");
  REQUIRE(call("POST", "/v1/nodes/fra-1/cordon").status == 200);
  deploy(1);
  CHECK(where().starts_with("iad"));
  CHECK(wanted().size() == 1);
  const Got events = call("GET", "/v1/apps/hello/releases/1/events");
  CHECK(events.text.find("fra: 1 more wait: node fra-1 is cordoned") != std::string::npos);
  REQUIRE(call("POST", "/v1/nodes/fra-1/uncordon").status == 200);
  reconnect("fra-1");
  CHECK(becomes([&] { return where().starts_with("fra-1 iad-"); }));
}

TEST_CASE_FIXTURE(Fleet, "a machine that scaling makes has the secrets of those that are there") {
  call("POST", "/v1/apps/hello/secrets", R"({"values": {"KEY": "one"}})");
  deploy(1, R"({"image": "hello:1", "region": "iad"})");
  call("POST", "/v1/apps/hello/secrets", R"({"values": {"STAGED": "two"}})");
  scale(R"({"count": 2})");
  REQUIRE(becomes([&] { return wanted().size() == 2; }));
  CHECK(wanted()[0].secrets == wanted()[1].secrets);
}

TEST_CASE_FIXTURE(Fleet, "a node that drains is left, one machine after its replacement is ready") {
  deploy(1, R"({"image": "hello:1", "region": "iad"})");
  const std::string node = where();
  const std::string other = node == "iad-1" ? "iad-2" : "iad-1";
  const MachineId old = wanted()[0].id;
  const Got drained = call("POST", "/v1/nodes/" + node + "/drain");
  REQUIRE(drained.status == 202);
  CHECK(*drained.body.find("state")->string() == "draining");
  const auto starting = [&](const model::Machine& machine, model::MachineStatus& status) {
    if (machine.id != old) status.state = model::MachineState::starting;
  };
  REQUIRE(becomes([&] { return where() == "iad-1 iad-2"; }, starting));
  for (int i = 0; i < 10; ++i) {
    report_all(starting);
    pass(30ms);
  }
  CHECK(where() == "iad-1 iad-2");
  CHECK(runs_at(other));
  REQUIRE(all_given_back());
  CHECK(call("GET", "/v1/nodes/" + node).body.find("machine_list")->items().empty());
  CHECK(call("DELETE", "/v1/nodes/" + node).status == 204);
  CHECK(call("GET", "/v1/nodes/" + node).status == 404);
}

TEST_CASE_FIXTURE(Fleet, "machines made by hand move from a node that drains, as they are") {
  const Got made = call("POST", "/v1/apps/hello/machines",
                        R"({"name": "cron", "region": "fra", "config": {"image": "job:1",
                            "schedule": "daily"}})");
  REQUIRE(made.status == 200);
  const model::Machine old = wanted()[0];
  call("POST", "/v1/nodes/fra-1/drain");
  REQUIRE(becomes([&] { return where().starts_with("iad"); }));
  const model::Machine moved =
      wanted().back().node == old.node ? wanted().front() : wanted().back();
  CHECK(moved.name == "cron");
  CHECK(moved.config == old.config);
  CHECK(moved.created_at == old.created_at);
  CHECK(moved.replaces == old.id);
  REQUIRE(all_given_back());
  CHECK(stays_at(where()));
}

struct Leased : Fleet {
  std::string lease_of(const MachineId& machine) {
    return "/v1/apps/hello/machines/" + machine.str() + "/lease";
  }
  std::string take_lease(const MachineId& machine) {
    const Got taken = call("POST", lease_of(machine) + "?ttl=600", R"({"description": "test"})");
    REQUIRE(taken.status == 200);
    return *taken.body.find("data")->find("nonce")->string();
  }
  void end_lease(const MachineId& machine, const std::string& nonce) {
    http::RequestHead head = request("DELETE", lease_of(machine));
    head.headers.set("perigee-machine-lease-nonce", nonce);
    const auto done = loop().run(ask(client, api_address, head, {}, loop().deadline_in(20s)));
    REQUIRE(done.has_value());
    REQUIRE(done->status == 200);
  }
  MachineId machine_on(const std::string& node) {
    for (const model::Machine& each : wanted()) {
      if (each.node == NodeId(node)) return each.id;
    }
    return {};
  }
};

TEST_CASE_FIXTURE(Leased, "a machine under a lease is scaled away when that has ended") {
  set_regions(R"({"regions": ["iad", "fra"]})");
  deploy(1);
  const std::string before = where();
  const MachineId machine = machine_on("fra-1");
  const std::string nonce = take_lease(machine);
  const Got got = scale(R"({"count": 1})");
  REQUIRE(got.status == 200);
  CHECK(got.text.find("machine " + machine.str() +
                      " stays though fra is to have 0, not 1: it is "
                      "leased by the API's token (test) until ") != std::string::npos);
  CHECK(stays_at(before));
  end_lease(machine, nonce);
  CHECK(becomes([&] { return wanted().size() == 1; }));
  CHECK(where().starts_with("iad"));
}

TEST_CASE_FIXTURE(Leased, "a machine under a lease leaves a node that drains when that has ended") {
  deploy(1, R"({"image": "hello:1", "region": "iad"})");
  const std::string node = where();
  const MachineId machine = machine_on(node);
  const std::string nonce = take_lease(machine);
  const Got drained = call("POST", "/v1/nodes/" + node + "/drain", R"({"stop": true})");
  const std::string stays =
      *drained.body.find("machine_list")->items().at(0).find("stays")->string();
  CHECK(stays.starts_with("it is leased by the API's token (test) until "));
  CHECK(stays_at(node));
  CHECK(wanted()[0].desired == model::DesiredState::started);
  end_lease(machine, nonce);
  CHECK(runs_at(node == "iad-1" ? "iad-2" : "iad-1"));
}

TEST_CASE_FIXTURE(Fleet, "what can't leave a node is named, and stops on demand") {
  for (model::NodeReport* each : {&fleet[NodeId("iad-1")], &fleet[NodeId("iad-2")]})
    each->disk_free_mib = 0;
  report_all();
  deploy(1, R"({"image": "db:1", "config": {"mounts": [{"name": "data", "path": "/data"}]}})");
  REQUIRE(where() == "fra-1");
  const Got drained = call("POST", "/v1/nodes/fra-1/drain");
  const auto& machines = drained.body.find("machine_list")->items();
  REQUIRE(machines.size() == 1);
  CHECK(*machines[0].find("stays")->string() == "it holds a volume");
  CHECK(stays_at("fra-1"));
  CHECK(wanted()[0].desired == model::DesiredState::started);
  const Got removed = call("DELETE", "/v1/nodes/fra-1");
  CHECK(removed.status == 409);
  CHECK(removed.text.find("still has machines") != std::string::npos);
  call("POST", "/v1/nodes/fra-1/drain", R"({"stop": true})");
  CHECK(wanted()[0].desired == model::DesiredState::stopped);
}

TEST_CASE_FIXTURE(Fleet, "a cordoned node takes no new machines, and keeps those it has") {
  call("POST", "/v1/nodes/iad-1/cordon");
  call("POST", "/v1/nodes/fra-1/cordon");
  deploy(1, R"({"image": "hello:1", "count": 2})");
  CHECK(where() == "iad-2 iad-2");
  call("POST", "/v1/nodes/iad-2/cordon");
  CHECK(stays_at("iad-2 iad-2"));
  const Got got = call("POST", "/v1/apps/hello/machines", R"({"config": {"image": "x:1"}})");
  CHECK(got.status == 503);
  CHECK(got.text.find("node fra-1 is cordoned; node iad-1 is cordoned") != std::string::npos);
}

TEST_CASE_FIXTURE(Fleet, "a node in use is not removed, and neither is one that nobody knows") {
  CHECK(call("DELETE", "/v1/nodes/iad-1").status == 409);
  CHECK(call("DELETE", "/v1/nodes/syd-1").status == 404);
  CHECK(call("POST", "/v1/nodes/syd-1/drain").status == 404);
}

TEST_CASE_FIXTURE(Fleet, "a lost node's machines start elsewhere, and end there when it returns") {
  deploy(1, R"({"image": "hello:1", "region": "fra"})");
  REQUIRE(where() == "fra-1");
  const MachineId old = wanted()[0].id;
  cut_off("fra-1");
  CHECK(becomes([&] { return where().starts_with("iad"); }));
  const auto machines = wanted();
  const auto found = std::ranges::find(machines, old, &model::Machine::id);
  REQUIRE(found != machines.end());  // until its node has destroyed it
  CHECK(found->desired == model::DesiredState::destroyed);
  CHECK(found->origin == model::Origin::scale);
  pass(100ms);
  reconnect("fra-1");
  REQUIRE(all_given_back());
  CHECK(wanted().size() == 1);
  CHECK(stays_at(where()));
}

TEST_CASE_FIXTURE(Fleet, "a machine that holds a volume waits for its node") {
  for (model::NodeReport* each : {&fleet[NodeId("iad-1")], &fleet[NodeId("iad-2")]})
    each->disk_free_mib = 0;
  report_all();
  deploy(1, R"({"image": "db:1", "config": {"mounts": [{"name": "data", "path": "/data"}]}})");
  REQUIRE(where() == "fra-1");
  cut_off("fra-1");
  CHECK(stays_at("fra-1", 60));
  CHECK(wanted()[0].desired == model::DesiredState::started);
}

TEST_CASE_FIXTURE(Fleet, "where most nodes fall silent, nothing is replaced for much longer") {
  deploy(1, R"({"image": "hello:1", "region": "fra"})");
  cut_off("fra-1");
  cut_off("iad-1");
  CHECK(stays_at("fra-1", 60));
}

TEST_CASE_FIXTURE(Fleet, "nothing is replaced because control itself was away") {
  deploy(1, R"({"image": "hello:1", "region": "fra"})");
  kill();
  pass(2s);
  start();
  CHECK(stays_at("fra-1"));
}

TEST_CASE_FIXTURE(Fleet, "a deploy goes on elsewhere when a node is lost under it") {
  set_regions(R"({"regions": ["iad"]})");
  REQUIRE(call("POST", "/v1/apps/hello/releases", kHello).status == 202);
  const auto starting = [&](const model::Machine&, model::MachineStatus& status) {
    status.state = model::MachineState::starting;
    status.listening = false;
  };
  REQUIRE(becomes([&] { return !where().empty(); }, starting));
  const std::string node = where();
  cut_off(node);
  REQUIRE(becomes([&] { return where() != node && !where().empty(); }, starting));
  CHECK(becomes([&] { return release_status("hello", 1) == "succeeded"; }));
}

TEST_CASE_FIXTURE(Fleet, "a lost node is removed with what was there, on demand") {
  deploy(1, R"({"image": "db:1", "region": "fra",
                "config": {"mounts": [{"name": "data", "path": "/data"}]}})");
  CHECK(call("DELETE", "/v1/nodes/fra-1?force=true").status == 409);
  call("POST", "/v1/nodes/fra-1/drain");
  CHECK(call("DELETE", "/v1/nodes/fra-1?force=true").status == 409);  // it reports
}

}  // namespace
}  // namespace perigee::control
