#include "worker/private_addresses.h"

#include <doctest/doctest.h>

#include "worker/worker_fixture.h"

namespace perigee::worker {
namespace {

const MachineId kId("m1");
constexpr const char* kNetwork = "fd12:3456:789a:5:102:304::/96";

model::Machine next(model::Machine machine, model::DesiredState desired) {
  machine.desired = desired;
  ++machine.desired_sequence;
  return machine;
}

struct Fixture {
  AddressPool pool = *AddressPool::open("10.201.0.0/16");
  Config config;
  Record record;
  Fixture() {
    config.network6 = "fd00:1::";
    record.status.private_ip = "10.201.0.2";
  }
};

TEST_CASE_FIXTURE(Fixture, "without a fleet a machine's addresses are of the node's own network") {
  record.status.private_ip6 = wanted_address6(pool, config, record);
  CHECK(record.status.private_ip6 == "fd00:1::ac9:2");
  CHECK(private_addresses(pool, config, record) ==
        PrivateAddresses{.machine = "fd00:1::ac9:2", .gateway = "fd00:1::ac9:1"});
}

TEST_CASE_FIXTURE(Fixture, "in a fleet they are of its app's network on this node") {
  record.machine.private_network = kNetwork;
  record.status.private_ip6 = wanted_address6(pool, config, record);
  const PrivateAddresses addresses = private_addresses(pool, config, record);
  CHECK(addresses.machine == "fd12:3456:789a:5:102:304:ac9:2");
  CHECK(addresses.gateway == "fd12:3456:789a:5::ac9:1");
  REQUIRE(addresses.fleet.has_value());
  CHECK(addresses.fleet->value == "fd12:3456:789a:0:102:304::");
}

TEST_CASE_FIXTURE(Fixture,
                  "a machine that runs when its node joins keeps its address until it boots") {
  record.status.private_ip6 = wanted_address6(pool, config, record);
  record.machine.private_network = kNetwork;
  CHECK(private_addresses(pool, config, record) ==
        PrivateAddresses{.machine = "fd00:1::ac9:2", .gateway = "fd00:1::ac9:1"});
  CHECK(wanted_address6(pool, config, record) == "fd12:3456:789a:5:102:304:ac9:2");
}

TEST_CASE_FIXTURE(Fixture, "a record of a version that kept no IPv6 address has the node's") {
  CHECK(private_addresses(pool, config, record).machine == "fd00:1::ac9:2");
}

TEST_CASE(
    "a machine boots with its fleet address, known to firewall and control, and resumes with it") {
  Bench bench(1);
  bench.start();
  model::Machine machine = Bench::machine("m1");
  bench.control.want(machine);
  REQUIRE(bench.until(kId, model::MachineState::started));
  const std::string own = bench.vms->spec(kId)->nic.address6;
  CHECK(bench.control.status(kId)->private_ip6 == own);

  machine.private_network = kNetwork;  // its node joins
  bench.control.want(machine = next(machine, model::DesiredState::suspended));
  REQUIRE(bench.until(kId, model::MachineState::suspended));
  bench.control.want(machine = next(machine, model::DesiredState::started));
  REQUIRE(bench.until(kId, model::MachineState::started));
  CHECK(bench.vms->spec(kId)->nic.address6 == own);
  CHECK_FALSE(bench.fabric.machines.front().fleet.has_value());

  bench.control.want(machine = next(machine, model::DesiredState::stopped));
  REQUIRE(bench.until(kId, model::MachineState::stopped));
  bench.control.want(machine = next(machine, model::DesiredState::started));
  REQUIRE(bench.until(kId, model::MachineState::started));
  const std::string joined = "fd12:3456:789a:5:102:304:ac9:2";
  CHECK(bench.vms->spec(kId)->nic.address6 == joined);
  CHECK(bench.vms->spec(kId)->nic.gateway6 == "fd12:3456:789a:5::ac9:1");
  CHECK(bench.control.status(kId)->private_ip6 == joined);
  CHECK(bench.fabric.machines.front().address6 == joined);
  CHECK(bench.fabric.machines.front().fleet.has_value());
}

}  // namespace
}  // namespace perigee::worker
