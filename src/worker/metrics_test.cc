// The page that Prometheus reads, as golden text in parts and by its rules as a whole.
#include "worker/metrics.h"

#include <doctest/doctest.h>

#include <set>

#include "base/text.h"
#include "worker/exposition.h"
#include "worker/metrics_server.h"
#include "worker/worker_fixture.h"

namespace perigee::worker {
namespace {

MachineSample running_machine() {
  MachineSample sample{.machine = MachineId("m1"),
                       .app = AppName("web"),
                       .region = RegionCode("iad"),
                       .node = NodeId("n1"),
                       .status = {}};
  sample.status.state = model::MachineState::started;
  sample.status.restart_count = 2;
  sample.status.checks = {{"alive", model::CheckHealth::passing, "", {}}};
  channel::Stats& guest = sample.guest.emplace();
  guest.load_centi = {152, 10, 1};
  guest.memory[0] = 234'881'024;
  guest.files_open = 64;
  guest.files_limit = INT64_MAX;
  guest.cpus = {{"0", {250, 0, 100, 9000, 1, 0, 2, 7}}};
  guest.disks = {{"vda", {12, 0, 100}}};
  guest.networks = {{"eth0", {1500, 12, 0, 0, 0, 0, 0, 0, 800, 9}}};
  guest.filesystems = {{"/", {4096, 1000, 500, 400}}};
  sample.vmm = sys::ProcessUsage{
      .cpu = 1500ms, .resident_bytes = 90'000'000, .proportional_bytes = 80'000'000};
  sample.vmm_counts = vm::VmmCounts{4096, 512};
  sample.tap = sys::InterfaceUsage{
      .received_bytes = 800, .received_packets = 9, .sent_bytes = 1500, .sent_packets = 12};
  return sample;
}

bool has_line(const std::string& text, std::string_view line) {
  for (const std::string_view each : split(text, '\n')) {
    if (each == line) return true;
  }
  return false;
}

constexpr std::string_view kLabels = R"(app="web",region="iad",host="n1",instance="m1")";

TEST_CASE("a machine's samples stand under both names, each in its unit") {
  const std::string text = metrics_text({.machines = {running_machine()}, .daemons = {}});
  for (const std::string_view line : {
           "perigee_machine_up{L} 1",
           "perigee_machine_restarts{L} 2",
           "perigee_machine_check_passing{L,check=\"alive\"} 1",
           "perigee_machine_load_average{L,minutes=\"1\"} 1.52",
           "perigee_machine_cpu_seconds_total{L,cpu=\"0\",mode=\"user\"} 2.5",
           "perigee_machine_cpu_seconds_total{L,cpu=\"0\",mode=\"steal\"} 0.07",
           "perigee_machine_memory_bytes{L,use=\"mem_total\"} 234881024",
           "perigee_machine_disk_reads_total{L,device=\"vda\"} 12",
           "perigee_machine_disk_read_bytes_total{L,device=\"vda\"} 51200",
           "perigee_machine_network_receive_bytes_total{L,device=\"eth0\"} 1500",
           "perigee_machine_network_transmit_packets_total{L,device=\"eth0\"} 9",
           "perigee_machine_filesystem_size_bytes{L,mount=\"/\"} 4096000",
           "perigee_machine_filesystem_avail_bytes{L,mount=\"/\"} 1638400",
           "perigee_machine_vmm_cpu_seconds_total{L} 1.5",
           "perigee_machine_vmm_proportional_bytes{L} 80000000",
           "perigee_machine_tap_receive_bytes_total{L} 800",
           "perigee_machine_vmm_block_read_bytes_total{L} 4096",
           "perigee_machine_vmm_seccomp_faults_total{L} 0",
           "fly_instance_up{L} 1",
           "fly_instance_load_average{L,minutes=\"15\"} 0.01",
           "fly_instance_cpu{L,cpu_id=\"0\",mode=\"system\"} 100",
           "fly_instance_memory_mem_total{L} 234881024",
           "fly_instance_disk_sectors_read{L,device=\"vda\"} 100",
           "fly_instance_net_recv_bytes{L,device=\"eth0\"} 1500",
           "fly_instance_net_sent_bytes{L,device=\"eth0\"} 800",
           "fly_instance_filefd_maximum{L} 9223372036854775807",
           "fly_instance_filesystem_blocks_avail{L,mount=\"/\"} 400",
       }) {
    std::string expected(line);
    expected.replace(expected.find("{L") + 1, 1, kLabels);
    CHECK_MESSAGE(has_line(text, expected), expected);
  }
}

TEST_CASE("every family has one HELP, one TYPE, and its samples together") {
  MachineSample other = running_machine();
  other.machine = MachineId("m2");
  const std::string text =
      metrics_text({.machines = {running_machine(), other}, .daemons = {{"worker", {.cpu = 1s}}}});
  CHECK(text.ends_with('\n'));
  std::set<std::string, std::less<>> families;
  std::string family;
  std::set<std::string_view> samples;
  for (const std::string_view line :
       split(std::string_view(text).substr(0, text.size() - 1), '\n')) {
    if (line.starts_with("# HELP ")) {
      family = std::string(split(line, ' ')[2]);
      CHECK_MESSAGE(families.insert(family).second, family);
    } else if (line.starts_with("# TYPE ")) {
      CHECK(split(line, ' ')[2] == family);
    } else {
      CHECK_MESSAGE(line.substr(0, line.find_first_of("{ ")) == family, line);
      CHECK_MESSAGE(samples.insert(line.substr(0, line.rfind(' '))).second, line);
    }
  }
  CHECK(families.contains("perigee_process_cpu_seconds_total"));
}

TEST_CASE("a machine that does not run is down and says nothing else of its guest") {
  MachineSample stopped = running_machine();
  stopped.status.state = model::MachineState::stopped;
  stopped.status.last_exit = model::ExitEvent{3, 0, true, false, "", {}};
  stopped.guest.reset();
  stopped.vmm.reset();
  stopped.tap.reset();
  const std::string text = metrics_text({.machines = {stopped}, .daemons = {}});
  CHECK(has_line(text, fmt::format("perigee_machine_up{{{}}} 0", kLabels)));
  CHECK(has_line(text, fmt::format("fly_instance_up{{{}}} 0", kLabels)));
  CHECK(has_line(text, fmt::format("fly_instance_exit_code{{{}}} 3", kLabels)));
  CHECK(has_line(text, fmt::format("fly_instance_exit_oom{{{}}} 1", kLabels)));
  CHECK(text.find("_memory_") == std::string::npos);
  CHECK(text.find("_cpu") == std::string::npos);
  CHECK(metrics_text({}).empty());
}

TEST_CASE("a label can't end its line or its quotes") {
  CHECK(escape_label("a\"b\\c\nd") == R"(a\"b\\c\nd)");
  Exposition out;
  out.family("x", Exposition::Type::untyped, "Help.");
  out.sample({{"a", "1\n\"2"}}, 0.1);
  out.sample({}, std::uint64_t{18'446'744'073'709'551'615U});
  CHECK(std::move(out).text() ==
        "# HELP x Help.\n# TYPE x untyped\nx{a=\"1\\n\\\"2\"} 0.1\nx 18446744073709551615\n");
}

TEST_CASE("a scrape asks the guests that run, and leaves out those that don't") {
  Bench bench(1);
  bench.vms->on_boot([](const vm::VmSpec&) {
    vm::FakePlan plan;
    plan.stats.load_centi = {300, 0, 0};
    return plan;
  });
  bench.start();
  bench.control.want(Bench::machine("m1"));
  model::Machine stopped = Bench::machine("m2");
  stopped.desired = model::DesiredState::stopped;
  bench.control.want(stopped);
  REQUIRE(bench.until(MachineId("m1"), model::MachineState::started));
  bench.run_for(1s);
  MetricsServer metrics(bench.node.host(), *bench.worker, bench.worker->driver(),
                        [] { return std::vector<std::pair<std::string, pid_t>>{}; });
  const std::string text = bench.simulation.run(metrics.text());
  CHECK(text.find("instance=\"m1\",minutes=\"1\"} 3\n") != std::string::npos);
  CHECK(text.find("instance=\"m2\"} 0\n") != std::string::npos);
  CHECK(text.find("instance=\"m2\",minutes") == std::string::npos);
  CHECK(bench.simulation.run(metrics.text()) == text);  // a second scrape shares the samples
}

TEST_CASE("the end of a host's certificate is told, and how often no other was got") {
  NodeSample sample;
  sample.certificates = {
      {.host = "a.test", .app = "shop", .end_seconds = 1'800'000'000, .failed_orders = 3},
      {.host = "b.test", .app = "shop"}};
  const std::string text = metrics_text(sample);
  CHECK(text.find("perigee_certificate_end_seconds{app=\"shop\",host=\"a.test\"} 1800000000\n") !=
        std::string::npos);
  CHECK(text.find("end_seconds{app=\"shop\",host=\"b.test\"}") == std::string::npos);
  CHECK(text.find("failed_orders{app=\"shop\",host=\"a.test\"} 3\n") != std::string::npos);
}

}  // namespace
}  // namespace perigee::worker
