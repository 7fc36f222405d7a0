// The model's JSON survives round trips, names what is wrong, and machines live by the table.
#include <doctest/doctest.h>

#include <array>
#include <set>

#include "model/checks.h"
#include "model/fleet.h"
#include "model/json.h"
#include "model/machine_state.h"
#include "model/signals.h"

namespace perigee::model {
namespace {

MachineConfig sample_config() {
  MachineConfig config;
  config.image = "registry.example/app:1";
  config.env = {{"A", "1"}, {"B", "two words"}};
  config.init.cmd = std::vector<std::string>{"serve", "--port=8080"};
  config.init.tty = true;
  config.guest = {.cpu_kind = "shared", .cpus = 2, .memory_mib = 512};
  Service service;
  service.ports = {{.port = 80, .handlers = {Handler::http}, .force_https = true},
                   {.port = 443, .handlers = {Handler::tls, Handler::http}}};
  service.concurrency = {.type = ConcurrencyType::requests, .soft_limit = 10, .hard_limit = 20};
  service.autostop = Autostop::suspend;
  service.checks = {{.type = CheckType::tcp, .grace_period = 10s},
                    {.type = CheckType::http,
                     .interval = 5s,
                     .timeout = 1500ms,
                     .method = "HEAD",
                     .path = "/up?full=1",
                     .headers = {{"X-One", "1"}, {"X-One", "2"}},
                     .tls = true,
                     .tls_skip_verify = true,
                     .tls_server_name = "app.example"}};
  config.checks = {{"extra", {.kind = CheckKind::readiness, .port = 9000}}};
  config.services = {service};
  config.metadata = {{"team", "x"}};
  config.restart = {.policy = RestartKind::always, .max_retries = 3};
  config.stop = {.signal = "SIGTERM", .timeout = 1500ms};
  config.schedule = Schedule::weekly;
  config.mounts = {{.volume = VolumeId("vol_1"), .name = "data", .path = "/data", .size_mib = 64}};
  return config;
}

Machine sample_machine() {
  Machine machine;
  machine.id = MachineId("148e1234567890");
  machine.name = "web-1";
  machine.app = AppName("hello");
  machine.region = RegionCode("iad");
  machine.node = NodeId("n1");
  machine.instance_id = "01H";
  machine.version = 3;
  machine.config = sample_config();
  machine.image = {.registry = "r", .repository = "p", .tag = "t", .digest = "sha256:ab"};
  machine.desired = DesiredState::stopped;
  machine.desired_sequence = 9;
  machine.origin = Origin::autostop;
  machine.stop_override = StopConfig{.signal = "SIGQUIT", .timeout = 7s};
  machine.scheduled_at = {1'584'435'600'000'000'003};
  machine.cordoned = true;
  machine.replaces = MachineId("148e0000000000");
  machine.release = 2;
  machine.created_at = {1'584'435'600'000'000'001};
  machine.updated_at = {1'584'435'600'000'000'002};
  return machine;
}

MachineStatus sample_status() {
  MachineStatus status;
  status.id = MachineId("148e1234567890");
  status.instance_id = "01H";
  status.state = MachineState::failed;
  status.acted_sequence = 9;
  status.private_ip = "10.201.0.2";
  status.listening = true;
  status.started_at = WallTime{5};
  status.listens_on = "0.0.0.0:3000";
  status.checks = {{"extra", CheckHealth::critical, "HTTP 500", WallTime{7}}};
  status.restart_count = 2;
  status.last_exit =
      ExitEvent{.exit_code = 137, .signal = 9, .oom_killed = true, .reason = "x", .exited_at = {}};
  status.error = "no such command: /app";
  status.events = {{.type = "exit",
                    .status = "failed",
                    .source = "worker",
                    .at = {7'000'000},
                    .exit = status.last_exit}};
  return status;
}

template <typename T, typename F>
void check_round_trip(const T& value, F read) {
  const auto text = to_json(value).dump();
  const auto again = read(json::parse(text).value());
  REQUIRE_MESSAGE(again.has_value(), (again ? "" : again.error().context));
  CHECK(*again == value);
}

TEST_CASE("every document survives a round trip") {
  check_round_trip(sample_config(), machine_config_from);
  check_round_trip(MachineConfig{}, machine_config_from);
  check_round_trip(sample_machine(), machine_from);
  check_round_trip(sample_status(), machine_status_from);
  check_round_trip(App{.name = AppName("a"),
                       .id = "i",
                       .created_at = {3},
                       .current_release = 1,
                       .last_release = 2},
                   app_from);
  Scale scale{.all_regions = true,
              .regions = {RegionCode("iad"), RegionCode("fra")},
              .count = 7,
              .region_counts = {{RegionCode("fra"), 2}},
              .max_per_region = 3};
  check_round_trip(App{.name = AppName("a"), .id = "i", .created_at = {3}, .scale = scale},
                   app_from);
  check_round_trip(NodeReport{.node = NodeId("n"),
                              .region = RegionCode("iad"),
                              .boot_id = "b",
                              .cpus = 2,
                              .memory_mib = 100,
                              .memory_free_mib = 50,
                              .accelerator = "tcg",
                              .machines = {sample_status()},
                              .sealing_keys = {"k1"}},
                   node_report_from);
  Release release{.app = AppName("a"),
                  .version = 4,
                  .image = {},
                  .config = sample_config(),
                  .status = ReleaseStatus::failed,
                  .error = "e",
                  .events = {{.at = {1}, .kind = "step", .message = "m"}},
                  .created_at = {2}};
  check_round_trip(release, release_from);
  AppRoute route{
      .app = AppName("a"),
      .hosts = {"a.localhost"},
      .services = sample_config().services,
      .targets = {{.machine = MachineId("m"),
                   .instance_id = "i",
                   .region = RegionCode("iad"),
                   .node = NodeId("n"),
                   .address = "10.0.0.2",
                   .state = MachineState::started,
                   .listening = true,
                   .wakeable = true}},
      .certificates = {{.hosts = {"a.localhost", "b"}, .chain_pem = "c", .private_key = "k"}},
      .challenges =
          {{.host = "b", .type = ChallengeType::tls_alpn_01, .token = "t", .answer = "w"}},
      .reason = "r"};
  check_round_trip(route, app_route_from);
}

TEST_CASE("volumes survive a round trip, as wanted and as reported") {
  const Volume volume{.id = VolumeId("vol_1"),
                      .name = "data",
                      .app = AppName("a"),
                      .region = RegionCode("iad"),
                      .node = NodeId("n"),
                      .size_mib = 64,
                      .encrypted = true,
                      .sealed_key = "sealed1:k1:AAAA",
                      .machine = MachineId("m"),
                      .source_volume = VolumeId("vol_0"),
                      .source_snapshot = SnapshotId("vs_0"),
                      .snapshots = {{.id = SnapshotId("vs_1"), .created_at = {4}}},
                      .snapshot_retention_days = 9,
                      .destroyed = true,
                      .created_at = {5}};
  check_round_trip(volume, volume_from);
  const VolumeStatus status{.id = volume.id,
                            .state = VolumeState::restoring,
                            .size_mib = 64,
                            .used_mib = 3,
                            .error = "e",
                            .snapshots = {{.id = SnapshotId("vs_1"), .size_mib = 2}}};
  check_round_trip(status, volume_status_from);
  NodeReport report;
  report.node = NodeId("n");
  report.disk_free_mib = 7;
  report.volumes = {status};
  check_round_trip(report, node_report_from);
}

TEST_CASE("the public volume has the Machines API's members") {
  Volume volume;
  volume.id = VolumeId("vol_1");
  volume.name = "data";
  volume.size_mib = 1500;
  const json::Value fresh = public_volume(volume, nullptr);
  CHECK(*fresh.find("state")->string() == "creating");
  CHECK(fresh.find("size_gb")->integer() == 2);
  CHECK(fresh.find("attached_machine_id")->is_null());
  CHECK(*fresh.find("host_status")->string() == "unknown");
  VolumeStatus status;
  status.state = VolumeState::created;
  status.size_mib = 1000;
  CHECK(*public_volume(volume, &status).find("state")->string() == "extending");
  status.size_mib = 1500;
  CHECK(*public_volume(volume, &status).find("state")->string() == "created");
  volume.destroyed = true;
  CHECK(*public_volume(volume, &status).find("state")->string() == "destroying");
}

TEST_CASE("the public machine has the Machines API's members") {
  const MachineStatus status = sample_status();
  const json::Value machine = public_machine(sample_machine(), &status);
  CHECK(machine.require_string("state").value() == "failed");
  CHECK(machine.require_string("created_at").value() == "2020-03-17T09:00:00.000Z");
  CHECK(machine.find("config")->find("guest")->require_int("memory_mb").value() == 512);
  CHECK(machine.find("config")->find("services")->items()[0].find("autostop")->dump() ==
        "\"suspend\"");
  CHECK(machine.find("events")
            ->items()[0]
            .find("request")
            ->find("exit_event")
            ->require_int("exit_code")
            .value() == 137);
  CHECK(public_machine(sample_machine(), nullptr).require_string("state").value() == "created");
}

TEST_CASE("a wrong member is named with its path") {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"guest":{"memory_mb":100}})", "guest: memory_mb: 100 is not from 128 to 262144"},
      {R"({"guest":{"memory_mb":200}})", "guest.memory_mb: must be a multiple of 64 from 128"},
      {R"({"guest":5})", "guest: expected an object"},
      {R"({"services":[{"ports":[{"port":80},{"port":"x"}]}]})",
       "services[0]: ports[1]: port: expected a whole number"},
      {R"({"services":[{"protocol":"sctp"}]})",
       "services[0]: protocol: 'sctp' is not one of tcp, udp"},
      {R"({"services":[{"ports":[{"port":80,"handlers":["gopher"]}]}]})",
       "services[0]: ports[0]: handlers: 'gopher' is not one of http, tls, proxy_proto, "
       "pg_tls"},
      {R"({"services":[{"ports":[{"port":80},{"port":80}]}]})", "services: port 80 is given twice"},
      {R"({"services":[{"ports":[{"port":80,"force_https":true}]}]})",
       "services: port 80: force_https needs the http handler"},
      {R"({"services":[{"ports":[{"port":80,"http_options":{"h2_backend":true}}]}]})",
       "services: port 80: h2_backend needs the http handler"},
      {R"({"services":[{"ports":[{"port":80,"http_options":{"h2_backend":1}}]}]})",
       "services[0]: ports[0]: http_options: h2_backend: expected true or false"},
      {R"({"services":[{"ports":[{"port":80,"handlers":["http"],"http_options":{"h2_backend":true}},
                                 {"port":443,"handlers":["tls","http"]}]}]})",
       "services: port 443: h2_backend differs from that of the service's other ports; the app's "
       "port 8080 speaks one protocol"},
      {R"({"services":[{"concurrency":{"soft_limit":9,"hard_limit":5}}]})",
       "services[0]: concurrency: hard_limit: 5 is below soft_limit 9"},
      {R"({"env":{"A=B":"x"}})", "env: 'A=B' is not a name for a variable"},
      {R"({"env":{"A":1}})", "env.A: expected a string"},
      {R"({"stop_config":{"timeout":"301s"}})", "stop_config: timeout: must be from 0 to 300 s"},
      {R"({"stop_config":{"signal":"SIGFOO"}})",
       "stop_config: signal: signal 'SIGFOO' is not known (SIGINT, SIGTERM, SIGQUIT, …)"},
      {R"({"schedule":"yearly"})",
       "schedule: 'yearly' is not one of hourly, daily, weekly, monthly"},
      {R"({"mounts":[{"volume":"v","path":"data"}]})",
       "mounts: path \"data\": must be absolute, of at most 255 characters"},
      {R"({"mounts":[{"path":"/data"}]})", "mounts: /data: needs the id of a volume, or a name"},
      {R"({"mounts":[{"path":"/a","name":"a"},{"path":"/b","name":"b"}]})",
       "mounts: more than 1 items"},
      {R"({"mounts":[{"path":"/a","name":"a","size_mb":1}]})",
       "mounts[0]: size_mb: 1 is not from 16 to 262144"},
      {R"({"restart":{"policy":"never"}})",
       "restart: policy: 'never' is not one of no, on-failure, always"},
  };
  for (const auto& [text, message] : cases) {
    CAPTURE(text);
    const auto config = machine_config_from(json::parse(text).value());
    REQUIRE_FALSE(config.has_value());
    CHECK(config.error().context == message);
    CHECK(config.error().code != Code::internal);
  }
}

TEST_CASE("names of apps and regions") {
  for (const char* good : {"a", "hello", "my-app-2"}) CHECK(parse_app_name(good).has_value());
  for (const char* bad : {"", "2a", "A", "a_b", "a-", "-a", "a.b", "a/b"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_app_name(bad).has_value());
  }
  CHECK_FALSE(parse_app_name(std::string(64, 'a')).has_value());
  CHECK(parse_region("iad").has_value());
  CHECK_FALSE(parse_region("IAD").has_value());
}

// Rows are from, columns to, both in the order of MachineState; x: allowed.
constexpr std::array<std::string_view, 11> kTransitions{
    // created starting started stopping stopped suspending suspended restarting destroying
    // destroyed
    // failed
    ".x..x...x.x",  // created
    "..xxx..xx.x",  // starting
    "...xxx.xx.x",  // started
    "....x...x.x",  // stopping
    ".x......x..",  // stopped
    "..xxx.xxx.x",  // suspending
    ".xx.x...x.x",  // suspended
    ".x.xx...x.x",  // restarting
    ".........x.",  // destroying
    "...........",  // destroyed
    ".x..x..xx..",  // failed
};

TEST_CASE("each of the 121 pairs of states is allowed or refused as the table says") {
  for (std::size_t from = 0; from < kTransitions.size(); ++from) {
    for (std::size_t to = 0; to < kTransitions.size(); ++to) {
      const auto before = static_cast<MachineState>(from);
      const auto after = static_cast<MachineState>(to);
      CAPTURE(name(before));
      CAPTURE(name(after));
      const bool allowed = kTransitions.at(from).at(to) == 'x';
      CHECK(may_follow(before, after) == allowed);
      const auto done = transition(before, after);
      CHECK(done.has_value() == allowed);
      if (allowed) {
        CHECK(*done == after);
      } else {
        CHECK(done.error().code == Code::conflict);
        CHECK(done.error().context ==
              fmt::format("a machine that is {} can't become {}", name(before), name(after)));
      }
    }
  }
}

TEST_CASE("signals have names and numbers, as Linux has them") {
  const std::pair<const char*, int> good[] = {{"SIGTERM", 15},  {"INT", 2},     {"sigusr1", 10},
                                              {"SIGWINCH", 28}, {"SIGSYS", 31}, {"9", 9},
                                              {"SIGHUP", 1},    {"ALRM", 14},   {"SIGABRT", 6}};
  for (const auto& [text, number] : good) {
    CAPTURE(text);
    CHECK(signal_number(text).value() == number);
  }
  for (const char* bad : {"", "SIG", "SIGFOO", "0", "32", "-1", "TERM ", "SIG15"}) {
    CAPTURE(bad);
    CHECK_FALSE(signal_number(bad).has_value());
  }
}

TEST_CASE("a machine lives by the table") {
  using enum MachineState;
  CHECK(transition(created, starting).value() == starting);
  CHECK(transition(stopped, started).error().context ==
        "a machine that is stopped can't become started");
  for (int i = 0; i <= static_cast<int>(failed); ++i) {
    const auto state = static_cast<MachineState>(i);
    CHECK(machine_state_from(name(state)).value() == state);
    CHECK_FALSE(may_follow(destroyed, state));
    // Everything can be destroyed, by one step or two.
    if (state != destroyed && state != destroying) CHECK(may_follow(state, destroying));
  }
}

TEST_CASE("a machine's checks have names and ports, those of services gate routing") {
  const std::vector<NamedCheck> all = checks_of(sample_config());
  REQUIRE(all.size() == 3);
  CHECK(all[0].name == "servicecheck-00-tcp-8080");
  CHECK(all[1].name == "servicecheck-01-http-8080");
  CHECK(all[1].check.port == 8080);
  CHECK(all[1].gates_routing);
  CHECK(all[2].name == "extra");
  CHECK(all[2].check.port == 9000);
  CHECK(all[2].gates_routing);  // of kind readiness
  CHECK(longest_grace(sample_config()) == 10s);
}

TEST_CASE("a machine is ready once its checks have passed, until one is critical") {
  const MachineConfig config = sample_config();
  MachineStatus status;
  CHECK(readiness({}, status) == Readiness::unchecked);
  CHECK(readiness(config, status) == Readiness::pending);
  for (const NamedCheck& each : checks_of(config)) {
    status.checks.push_back({each.name, CheckHealth::passing, "", {}});
  }
  CHECK(gates_open(config, status));
  CHECK(all_checks_pass(config, status));
  CHECK(check_complaint(config, status) == "");
  status.listening = true;
  CHECK(readiness(config, status) == Readiness::ready);
  status.checks[1].status = CheckHealth::warning;
  status.checks[1].output = "timed out";
  CHECK_FALSE(gates_open(config, status));
  CHECK(readiness(config, status) == Readiness::ready);
  CHECK(check_complaint(config, status) == "check servicecheck-01-http-8080: timed out");
  status.checks[1].status = CheckHealth::critical;
  CHECK(readiness(config, status) == Readiness::failing);
}

TEST_CASE("an informational check holds nobody back from routing") {
  MachineConfig config;
  config.checks = {{"extra", {.port = 1}}};
  MachineStatus status;
  status.checks = {{"extra", CheckHealth::critical, "", {}}};
  CHECK(readiness(config, status) == Readiness::unchecked);
  CHECK_FALSE(all_checks_pass(config, status));
}

TEST_CASE("a scale names the member that is wrong") {
  const auto complaint = [](const char* text) {
    const auto scale = scale_from(json::parse(text).value());
    return scale ? std::string("fine") : scale.error().context;
  };
  CHECK(complaint("{}") == "fine");
  CHECK(complaint(R"({"regions": ["iad", "Frankfurt"]})").starts_with("regions[1]: 'Frankfurt'"));
  CHECK(complaint(R"({"count": -1})") == "count: -1 is not from 0 to 256");
  CHECK(complaint(R"({"region_counts": [{"region": "fra", "count": 1000}]})") ==
        "region_counts[0]: count: 1000 is not from 0 to 256");
}

TEST_CASE("a membership and a route's node survive a round trip") {
  const Membership membership{.index = 3,
                              .mesh_address = "fd12:3456:789a::3",
                              .endpoint = "203.0.113.7:51820",
                              .wireguard_key = "bm90IGEga2V5",
                              .wireguard_next_key = "bm9yIHRoaXM=",
                              .announced_at = {1'790'000'000'000'000'000},
                              .rotate_key = true,
                              .certificate = "ab12",
                              .previous_certificate = "cd34",
                              .roles = {"worker", "router"}};
  CHECK(membership_from(to_json(membership)) == membership);
  CHECK(membership.runs("router"));
  CHECK_FALSE(membership.runs("control"));
  CHECK(membership.is_its("ab12"));
  CHECK(membership.is_its("cd34"));
  CHECK_FALSE(membership.is_its(""));
  auto outside = to_json(membership);
  outside.set("index", 65536);
  CHECK_FALSE(membership_from(outside).has_value());

  const RouteNode node{.node = NodeId("fra-1"),
                       .region = RegionCode("fra"),
                       .mesh_address = "fd12:3456:789a::3",
                       .has_router = true,
                       .has_worker = false,
                       .draining = true};
  CHECK(route_node_from(to_json(node)) == node);
}

TEST_CASE("checks that could not be run are refused by name") {
  struct Row {
    const char* config;
    const char* part;
  };
  const std::vector<Row> rows{
      {R"({"checks":{"a b":{"port":1}}})", "'a b' is not a name"},
      {R"({"checks":{"a":{}}})", "checks.a: port: missing"},
      {R"({"checks":{"a":{"port":70000}}})", "port"},
      {R"({"checks":{"a":{"port":1,"interval":"10ms"}}})", "checks.a: interval: must be from"},
      {R"({"checks":{"a":{"port":1,"timeout":"2m"}}})", "checks.a: timeout"},
      {R"({"checks":{"a":{"port":1,"grace_period":"1h"}}})", "checks.a: grace_period"},
      {R"({"checks":{"a":{"port":1,"type":"udp"}}})", "type: 'udp'"},
      {R"({"checks":{"a":{"port":1,"type":"http","path":"up"}}})", "path: must begin with /"},
      {R"({"checks":{"a":{"port":1,"type":"http","path":"/a b"}}})", "path"},
      {R"({"checks":{"a":{"port":1,"type":"http","method":"DELETE"}}})", "method: 'DELETE'"},
      {R"({"checks":{"a":{"port":1,"type":"http","headers":[{"name":"A\nB","values":["x"]}]}}})",
       "headers"},
      {R"({"services":[{"checks":[{"type":"http","headers":[{"name":"A","values":["x\r"]}]}]}]})",
       "checks.servicecheck-00-http-8080: headers"},
      {R"({"checks":[]})", "checks: expected an object"},
  };
  for (const Row& row : rows) {
    const auto config = machine_config_from(*json::parse(row.config));
    CAPTURE(row.config);
    REQUIRE_FALSE(config.has_value());
    CHECK_MESSAGE(config.error().context.find(row.part) != std::string::npos,
                  config.error().context);
  }
}

}  // namespace
}  // namespace perigee::model
