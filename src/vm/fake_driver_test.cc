#include <doctest/doctest.h>

#include <csignal>

#include "sys/posix_host.h"
#include "vm/fake_driver.h"

using namespace perigee;
using namespace perigee::vm;

namespace {

VmSpec spec(const std::string& machine) {
  VmSpec spec;
  spec.machine = MachineId(machine);
  spec.instance_id = "i-" + machine;
  return spec;
}

}  // namespace

TEST_CASE("a fake VM boots, runs, exits by script, and is forgotten") {
  const auto posix = std::move(*sys::PosixHost::open(0));
  auto& loop = posix->loop();
  FakeVms vms(posix->host());
  FakeDriver driver(posix->host(), vms);
  vms.on_boot([](const VmSpec&) { return FakePlan{.exit_after = 1ms, .exit_code = 3}; });
  REQUIRE(loop.run(driver.boot(spec("a"))).has_value());
  CHECK(loop.run(driver.boot(spec("a"))).error().code == Code::already_exists);
  CHECK(loop.run(driver.next_event()).state == VmState::running);
  CHECK(loop.run(driver.forget(MachineId("a"))).error().code == Code::conflict);
  const VmStatus exited = loop.run(driver.next_event());
  CHECK(exited.state == VmState::exited);
  CHECK(exited.exit->exit_code == 3);
  CHECK(loop.run(driver.forget(MachineId("a"))).has_value());
  CHECK(vms.size() == 0);
}

TEST_CASE("fake VMs outlive their driver") {
  const auto posix = std::move(*sys::PosixHost::open(0));
  auto& loop = posix->loop();
  FakeVms vms(posix->host());
  {
    FakeDriver first(posix->host(), vms);
    REQUIRE(loop.run(first.boot(spec("a"))).has_value());
    CHECK(loop.run(first.next_event()).state == VmState::running);
  }
  FakeDriver second(posix->host(), vms);
  const auto found = loop.run(second.adopt());
  REQUIRE(found->size() == 1);
  CHECK(found->front().state == VmState::running);
  REQUIRE(loop.run(second.signal(MachineId("a"), SIGTERM)).has_value());
  const VmStatus exited = loop.run(second.next_event());
  CHECK(exited.exit->exit_code == 143);
  CHECK(loop.run(second.signal(MachineId("a"), SIGTERM)).error().code == Code::not_found);
}

TEST_CASE("a scripted boot error and a crash") {
  const auto posix = std::move(*sys::PosixHost::open(0));
  auto& loop = posix->loop();
  FakeVms vms(posix->host());
  FakeDriver driver(posix->host(), vms);
  vms.on_boot([](const VmSpec& vm) {
    FakePlan plan;
    if (vm.machine.str() == "bad") plan.boot_error = Error::make(Code::internal, "no");
    return plan;
  });
  CHECK_FALSE(loop.run(driver.boot(spec("bad"))).has_value());
  REQUIRE(loop.run(driver.boot(spec("good"))).has_value());
  CHECK(loop.run(driver.next_event()).state == VmState::running);
  vms.crash(MachineId("good"));
  CHECK(loop.run(driver.next_event()).exit->vmm_died);
}
