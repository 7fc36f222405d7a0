// The monitor driver with real VMs: boot, output, signals, and what survives whose death.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <signal.h>

#include <cstdio>
#include <sstream>

#include "fixture.h"
#include "sys/procfs.h"
#include "vm/qemu.h"

using namespace perigee;
using namespace perigee::vm;
using perigee::vm::e2e::Fixture;

namespace {

constexpr const char* kCounter =
    "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo line $i; sleep 0.02; done";

// The numbers of "line N" rise by one from 1. Returns how many there are.
int check_consecutive(const std::string& output) {
  std::istringstream lines(output);
  std::string word;
  int number = 0;
  int expected = 0;
  while (lines >> word >> number) REQUIRE(number == ++expected);
  return expected;
}

}  // namespace

TEST_CASE("an app boots, writes, serves, is signalled, and leaves nothing") {
  Fixture f;
  const VmSpec spec = f.spec("e2e10000000000",
                             "trap 'echo got TERM; exit 7' TERM; echo out; echo err >&2; "
                             "httpd -p 8080 -h /www; while true; do sleep 0.05; done");
  REQUIRE(f.run(f.driver().boot(spec)).has_value());
  CHECK(f.run(f.driver().boot(spec)).error().code == Code::already_exists);
  const VmStatus running = f.wait_for(spec.machine.str(), VmState::running);
  CHECK(running.instance_id == spec.instance_id);
  CHECK(running.vmm_pid > 0);
  CHECK(running.started_at.has_value());
  CHECK(f.http_get(spec, 8080) == "HTTP/1.1 200 OK");
  CHECK(f.tap_exists(spec.machine.str()));

  REQUIRE(f.run(f.driver().signal(spec.machine, SIGTERM)).has_value());
  const VmStatus exited = f.wait_for(spec.machine.str(), VmState::exited);
  REQUIRE(exited.exit.has_value());
  CHECK(exited.exit->exit_code == 7);
  CHECK_FALSE(exited.exit->vmm_died);
  CHECK(exited.exit->reason == "exit code 7");
  CHECK(exited.ended_at.has_value());
  CHECK(f.output(spec.machine.str()) == "out\nerr\ngot TERM\n");
  CHECK_FALSE(f.tap_exists(spec.machine.str()));
  CHECK(f.wait_for_end(exited.monitor_pid));

  CHECK(f.run(f.driver().boot(spec)).error().code == Code::already_exists);
  REQUIRE(f.run(f.driver().forget(spec.machine)).has_value());
  REQUIRE(f.run(f.driver().boot(spec)).has_value());
  f.wait_for(spec.machine.str(), VmState::running);
}

TEST_CASE("a command that does not exist ends the VM with a sentence that names it") {
  Fixture f;
  VmSpec spec = f.spec("e2e20000000000", "");
  spec.process.argv = {"/no/such/app"};
  REQUIRE(f.run(f.driver().boot(spec)).has_value());
  const VmStatus exited = f.wait_for(spec.machine.str(), VmState::exited);
  REQUIRE(exited.exit.has_value());
  CHECK(exited.exit->exit_code == 127);
  CHECK(exited.exit->reason.find("/no/such/app") != std::string::npos);
  CHECK_FALSE(exited.started_at.has_value());
}

TEST_CASE("a VM with a disk that is not there is not booted, and the error says so") {
  Fixture f;
  VmSpec spec = f.spec("e2e90000000000", "true");
  spec.layers = {"/no/such/layer.erofs"};
  const auto refused = f.run(f.driver().boot(spec));
  REQUIRE(!refused.has_value());
  CHECK(refused.error().context.find("open /no/such/layer.erofs") != std::string::npos);
}

TEST_CASE("a VM whose tap is taken is not booted, and the error says so") {
  Fixture f;
  f.boot("e2ec0000000000", "while true; do sleep 1; done");
  VmSpec spec = f.spec("e2ed0000000000", "true");
  spec.nic.tap = tap_name(MachineId("e2ec0000000000"));
  const auto refused = f.run(f.driver().boot(spec));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().context.find(spec.nic.tap) != std::string::npos);
  CHECK(f.run(f.driver().forget(spec.machine)).has_value());
  spec.nic.tap = tap_name(spec.machine);
  CHECK(f.run(f.driver().boot(spec)).has_value());
}

TEST_CASE("trial boots decide what VMs run on once per boot of the host") {
  Fixture f;
  const auto first = f.detect_platform();
  REQUIRE(first.has_value());
  MESSAGE("this host: " << std::string(to_string(first->platform)) << "; refused "
                        << to_string(first->refused));
  // Each that is preferred was tried, and has said why not.
  CHECK(first->refused.size() == static_cast<std::size_t>(first->platform));
  for (const Refusal& refusal : first->refused) CHECK(!refusal.reason.empty());
  CHECK(first->tsc_khz > 0);
  const auto second = f.detect_platform();
  REQUIRE(second.has_value());
  CHECK((*second == *first));
}

TEST_CASE("a killed monitor is replaced: the VM lives on and no line is lost") {
  Fixture f;
  const std::string machine = "e2e30000000000";
  const VmStatus before = f.boot(machine, kCounter);
  REQUIRE(f.wait_for_output(machine, "line 20\n"));
  REQUIRE(::kill(before.monitor_pid, SIGKILL) == 0);
  const VmStatus after = f.wait_for(machine, VmState::running);
  CHECK(after.monitor_pid != before.monitor_pid);
  CHECK(after.vmm_pid == before.vmm_pid);
  CHECK(after.started_at == before.started_at);
  REQUIRE(f.wait_for_output(machine, "line 150\n"));
  CHECK(check_consecutive(f.output(machine)) >= 150);
  REQUIRE(f.run(f.driver().signal(MachineId(machine), SIGTERM)).has_value());
  const VmStatus exited = f.wait_for(machine, VmState::exited);
  CHECK(exited.exit->exit_code == 128 + SIGTERM);
}

TEST_CASE("a VM whose monitor dies while it starts it leaves nothing, and can be started again") {
  Fixture f;
  const VmSpec spec = f.spec("e2e31000000000", kCounter);
  f.let_monitors_die(true);
  f.replace_driver();
  REQUIRE_FALSE(f.run(f.driver().boot(spec)).has_value());
  CHECK_FALSE(sys::find_process_by_argument(qemu_name(spec.machine)).has_value());
  CHECK_FALSE(f.tap_exists(spec.machine.str()));
  f.let_monitors_die(false);
  f.replace_driver();
  REQUIRE(f.run(f.driver().boot(spec)).has_value());
  f.wait_for(spec.machine.str(), VmState::running);
}

TEST_CASE("a killed VMM is reported with its reason") {
  Fixture f;
  const VmStatus running = f.boot("e2e40000000000", kCounter);
  REQUIRE(::kill(running.vmm_pid, SIGKILL) == 0);
  const VmStatus exited = f.wait_for("e2e40000000000", VmState::exited);
  CHECK(exited.exit->vmm_died);
  CHECK(exited.exit->reason == "the VMM died (signal 9 (Killed))");
  CHECK_FALSE(f.tap_exists("e2e40000000000"));
}

TEST_CASE("a new driver finds what runs, what ended meanwhile, and what died unseen") {
  Fixture f;
  const VmStatus stays = f.boot("e2e50000000000", kCounter);
  const VmStatus ends = f.boot("e2e60000000000", "sleep 1; exit 3");
  const VmStatus dies = f.boot("e2e70000000000", kCounter);
  f.drop_driver();
  REQUIRE(::kill(dies.monitor_pid, SIGKILL) == 0);
  REQUIRE(::kill(dies.vmm_pid, SIGKILL) == 0);
  f.sleep(3s);
  f.replace_driver();
  const auto found = f.run(f.driver().adopt());
  REQUIRE(found.has_value());
  REQUIRE(found->size() == 3);
  CHECK(found->at(0) == stays);
  CHECK(found->at(1).state == VmState::exited);
  CHECK(found->at(1).exit->exit_code == 3);
  CHECK(found->at(2).state == VmState::exited);
  CHECK(found->at(2).exit->vmm_died);
  REQUIRE(f.wait_for_output("e2e50000000000", "line 100\n"));
  CHECK(check_consecutive(f.output("e2e50000000000")) >= 100);
  REQUIRE(f.run(f.driver().kill(stays.machine)).has_value());
  const VmStatus killed = f.wait_for("e2e50000000000", VmState::exited);
  CHECK(killed.exit->reason == "killed");
  CHECK_FALSE(killed.exit->vmm_died);
}

TEST_CASE("output beyond every buffer arrives whole, across a killed monitor") {
  Fixture f;
  const std::string machine = "e2e80000000000";
  const VmStatus before = f.boot(machine, "seq 1 60000; echo end; while true; do sleep 1; done");
  f.sleep(300ms);
  REQUIRE(::kill(before.monitor_pid, SIGKILL) == 0);
  REQUIRE(f.wait_for_output(machine, "end\n"));
  std::string expected;
  for (int i = 1; i <= 60000; ++i) expected += fmt::format("{}\n", i);
  CHECK((f.output(machine) == expected + "end\n"));
}

TEST_CASE("a VM answers connections and opens none") {
  Fixture f;
  const std::string knock = "echo | nc -w 2 10.201.0.1 8080 2>&1; echo knocked; ";
  const std::string serve = "httpd -p 8080 -h /www; while true; do sleep 1; done";
  f.serve_on_host(8080);
  const VmSpec open = f.spec("e2ea0000000000", knock + serve);
  REQUIRE(f.run(f.driver().boot(open)).has_value());
  REQUIRE(f.wait_for_output(open.machine.str(), "knocked\n"));
  INFO(f.output(open.machine.str()));
  CHECK(f.output(open.machine.str()).find("hello from the host") != std::string::npos);

  const VmSpec shut = f.spec("e2eb0000000000", knock + serve);
  f.raise_firewall({open, shut});
  REQUIRE(f.run(f.driver().boot(shut)).has_value());
  REQUIRE(f.wait_for_output(shut.machine.str(), "knocked\n"));
  CHECK(f.output(shut.machine.str()).find("hello from the host") == std::string::npos);
  CHECK(f.http_get(shut, 8080) == "HTTP/1.1 200 OK");
  CHECK(f.http_get(open, 8080) == "HTTP/1.1 200 OK");
}

TEST_CASE("a VM that is held stands still until its holder says so, or is gone") {
  Fixture f;
  const std::string machine = "e2ee0000000000";
  f.boot(machine, kCounter);
  REQUIRE(f.wait_for_output(machine, "line 5\n"));
  for (const bool asks : {true, false}) {
    CAPTURE(asks);
    auto hold = f.run(f.driver().hold(MachineId(machine)));
    REQUIRE(hold.has_value());
    CHECK(f.run(f.driver().hold(MachineId(machine))).error().code == Code::unavailable);
    f.sleep(300ms);  // what was on its way
    const std::string before = f.output(machine);
    f.sleep(1s);
    CHECK(f.output(machine) == before);
    if (asks) CHECK(f.run((*hold)->release()).has_value());
    hold->reset();
    const int count = check_consecutive(before);
    CHECK(f.wait_for_output(machine, fmt::format("line {}\n", count + 20)));
  }
}

int main(int argc, char** argv) {
  const std::string obstacle = perigee::vm::e2e::prepare_process();
  if (!obstacle.empty()) {
    std::printf("SKIPPED: %s\n", obstacle.c_str());
    return 77;
  }
  doctest::Context context(argc, argv);
  return context.run();
}
