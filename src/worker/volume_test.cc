// Volumes on a node: the plan as a table, and their life with machines and crashes on virtual time.
#include <doctest/doctest.h>

#include "async/combine.h"
#include "model/json.h"
#include "worker/volume_plan.h"
#include "worker/worker_fixture.h"

namespace perigee::worker {
namespace {

using model::MachineState;
using model::VolumeState;

const MachineId kMachine("m1");
const VolumeId kVolume("vol_1");
const SnapshotId kSnapshot("vs_1");

model::Volume volume(std::int64_t size_mib = 64) {
  model::Volume volume;
  volume.id = kVolume;
  volume.name = "data";
  volume.app = AppName("hello");
  volume.node = NodeId("n1");
  volume.size_mib = size_mib;
  return volume;
}

model::Machine machine_with_volume() {
  model::Machine machine = Bench::machine("m1");
  machine.config.mounts = {{.volume = kVolume, .name = "data", .path = "/data"}};
  return machine;
}

template <typename F>
bool eventually(Bench& bench, F condition) {
  for (int i = 0; i < 600 && !condition(); ++i) bench.run_for(100ms);
  return condition();
}

bool is_in(Bench& bench, VolumeState state) {
  const model::VolumeStatus* status = bench.control.status(kVolume);
  return status != nullptr && status->state == state;
}

std::set<std::string> volume_files(Bench& bench) {
  constexpr std::string_view kVolumes = "/state/volumes/";
  std::set<std::string> below;
  for (const std::string& path : bench.node.disk().paths()) {
    if (path.starts_with(kVolumes)) below.insert(path.substr(kVolumes.size()));
  }
  return below;
}

TEST_CASE("the plan makes, restores, extends, snapshots, drops and removes, one at a time") {
  struct Case {
    const char* what;
    model::Volume volume;
    VolumeFacts facts;
    InUse in_use;
    VolumePlan plan;
    VolumeState state;
  };
  model::Volume gone = volume();
  gone.destroyed = true;
  model::Volume copy = volume();
  copy.source_volume = VolumeId("vol_0");
  copy.source_snapshot = kSnapshot;
  model::Volume with_snapshot = volume();
  with_snapshot.snapshots = {{.id = kSnapshot, .created_at = {}}};
  const VolumeFacts nothing{.disk = std::nullopt, .snapshots = {}, .directory = true};
  const VolumeFacts disk{.disk = DiskFacts{64, 1}, .snapshots = {}, .directory = true};
  const VolumeFacts small{.disk = DiskFacts{32, 1}, .snapshots = {}, .directory = true};
  VolumeFacts both = disk;
  both.snapshots[kSnapshot] = DiskFacts{64, 1};
  using A = VolumeAction;
  const std::vector<Case> cases{
      {"new", volume(), nothing, InUse::no, {A::make}, VolumeState::creating},
      {"from a snapshot", copy, nothing, InUse::no, {A::restore}, VolumeState::restoring},
      {"there", volume(), disk, InUse::yes, {A::wait}, VolumeState::created},
      {"larger", volume(), small, InUse::yes, {A::extend}, VolumeState::extending},
      {"snapshot", with_snapshot, disk, InUse::no, {A::snapshot, kSnapshot}, VolumeState::created},
      {"snapshot there", with_snapshot, both, InUse::no, {A::wait}, VolumeState::created},
      {"snapshot not wanted",
       volume(),
       both,
       InUse::no,
       {A::drop, kSnapshot},
       VolumeState::created},
      {"destroyed", gone, both, InUse::no, {A::remove}, VolumeState::destroying},
      {"destroyed, in use", gone, both, InUse::yes, {A::wait}, VolumeState::destroying},
      {"destroyed and gone", gone, {}, InUse::no, {A::wait}, VolumeState::destroyed},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    CHECK(plan_volume(c.volume, c.facts, c.in_use) == c.plan);
    CHECK(status_of(c.volume, c.facts, "").state == c.state);
  }
  CHECK(status_of(volume(), nothing, "disk full").state == VolumeState::failed);
  CHECK(status_of(volume(), both, "").used_mib == 1);  // the snapshot's space is its own
}

TEST_CASE("a machine boots with its volume, and the volume outlives it") {
  Bench bench(1);
  bench.start();
  model::Volume attached = volume();
  attached.machine = kMachine;
  bench.control.want(attached);
  model::Machine machine = machine_with_volume();
  bench.control.want(machine);
  REQUIRE(bench.until(kMachine, MachineState::started));
  const vm::VmSpec* spec = bench.vms->spec(kMachine);
  REQUIRE(spec->volumes.size() == 1);
  CHECK(spec->volumes[0] == vm::VmVolume{"/state/volumes/vol_1/disk.ext4", "/data"});
  CHECK(is_in(bench, VolumeState::created));
  CHECK(bench.control.report()->disk_free_mib == 100'000);

  machine.desired = model::DesiredState::destroyed;
  ++machine.desired_sequence;
  bench.control.want(machine);
  REQUIRE(bench.until(kMachine, MachineState::destroyed));
  bench.run_for(30s);
  CHECK(volume_files(bench).contains("vol_1/disk.ext4"));
  CHECK(bench.disks.made == 1);
}

TEST_CASE("a machine waits for its volume, and has not another machine's") {
  Bench bench(1);
  bench.start();
  bench.control.want(machine_with_volume());
  bench.run_for(30s);
  CHECK(bench.vms->size() == 0);
  model::Volume other = volume();
  other.machine = MachineId("m2");
  bench.control.want(other);
  bench.run_for(30s);
  CHECK(bench.vms->size() == 0);
  CHECK(is_in(bench, VolumeState::created));
  other.machine = kMachine;
  bench.control.want(other);
  CHECK(bench.until(kMachine, MachineState::started));
}

TEST_CASE("a volume that can't be made says why, and its machine with it; then it is made") {
  Bench bench(1);
  bench.disks.failure = Error::make(Code::resource_exhausted, "the disk is full");
  bench.start();
  model::Volume attached = volume();
  attached.machine = kMachine;
  bench.control.want(attached);
  bench.control.want(machine_with_volume());
  REQUIRE(eventually(bench, [&] { return is_in(bench, VolumeState::failed); }));
  CHECK(bench.control.status(kVolume)->error.contains("the disk is full"));
  REQUIRE(eventually(bench, [&] { return !bench.control.status(kMachine)->error.empty(); }));
  CHECK(bench.control.status(kMachine)->error.contains("volume vol_1: make: the disk is full"));
  bench.disks.failure.reset();
  CHECK(eventually(bench, [&] { return is_in(bench, VolumeState::created); }));
}

TEST_CASE("data is removed on control's word alone") {
  Bench bench(1);
  bench.start();
  bench.control.want(volume());
  REQUIRE(eventually(bench, [&] { return is_in(bench, VolumeState::created); }));
  SUBCASE("not because control does not know it") {
    bench.control.forget_volume(kVolume);
    bench.crash(sim::Crash::process);
    bench.run_for(60s);
    CHECK(volume_files(bench).contains("vol_1/disk.ext4"));
  }
  SUBCASE("but when it is destroyed") {
    model::Volume gone = volume();
    gone.destroyed = true;
    bench.control.want(gone);
    CHECK(eventually(bench, [&] { return volume_files(bench).empty(); }));
    bench.run_for(5s);
    CHECK(bench.control.report()->volumes.empty());
  }
}

TEST_CASE("a snapshot waits until nobody has the disk, and a new volume begins with it") {
  Bench bench(1);
  bench.start();
  model::Volume source = volume();
  source.machine = kMachine;
  source.snapshots = {{.id = kSnapshot, .created_at = {}}};
  bench.control.want(volume());
  bench.control.want(source);
  REQUIRE(
      eventually(bench, [&] { return volume_files(bench).contains("vol_1/snapshots/vs_1.ext4"); }));
  model::Volume copy = volume(128);
  copy.id = VolumeId("vol_2");
  copy.source_volume = kVolume;
  copy.source_snapshot = kSnapshot;
  bench.control.want(copy);
  const auto restored = [&] {
    const auto* status = bench.control.status(copy.id);
    return status != nullptr && status->state == VolumeState::created && status->size_mib == 128;
  };
  CHECK(eventually(bench, restored));
}

TEST_CASE("a running machine is held for a snapshot once; what fails then waits for its stop") {
  Bench bench(1);
  bool lasts = true;
  SUBCASE("that lasts") {}
  SUBCASE("that does not") {
    lasts = false;
  }
  bench.vms->on_boot([&](const vm::VmSpec&) {
    vm::FakePlan plan;
    if (!lasts) plan.release_error = Error::make(Code::unavailable, "it went on before");
    return plan;
  });
  bench.start();
  model::Volume attached = volume();
  attached.machine = kMachine;
  bench.control.want(attached);
  model::Machine machine = machine_with_volume();
  bench.control.want(machine);
  REQUIRE(bench.until(kMachine, MachineState::started));
  attached.snapshots = {{.id = kSnapshot, .created_at = {}}};
  bench.control.want(attached);
  bench.run_for(60s);
  const auto made = [&] { return volume_files(bench).contains("vol_1/snapshots/vs_1.ext4"); };
  CHECK(made() == lasts);
  CHECK(bench.vms->holds() == 1);
  if (lasts) return;
  CHECK(bench.control.status(kVolume)->error.contains("stop the machine"));
  machine.desired = model::DesiredState::stopped;
  ++machine.desired_sequence;
  bench.control.want(machine);
  CHECK(eventually(bench, made));
  CHECK(bench.vms->holds() == 1);
}

// At each step of a volume's whole life the worker (or its host) is lost once.
TEST_CASE("a crash at any step neither loses nor doubles a volume") {
  for (const sim::Crash kind : {sim::Crash::process, sim::Crash::power}) {
    for (std::uint64_t at = 1; at < 60; ++at) {
      CAPTURE(at);
      Bench bench(at);
      bench.start();
      bench.node.crash_at_step(at, kind);
      model::Volume wanted = volume();
      wanted.snapshots = {{.id = kSnapshot, .created_at = {}}};
      bench.control.want(wanted);
      wanted.size_mib = 128;
      bench.control.want(wanted);
      const auto whole = [&] {
        const auto* status = bench.control.status(kVolume);
        return status != nullptr && status->state == VolumeState::created &&
               status->size_mib == 128 && status->snapshots.size() == 1;
      };
      REQUIRE(eventually(bench, whole));
      wanted.destroyed = true;
      bench.control.want(wanted);
      REQUIRE(eventually(bench, [&] { return volume_files(bench).empty(); }));
    }
  }
}

}  // namespace
}  // namespace perigee::worker
