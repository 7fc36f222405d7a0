// Secrets and volumes' keys on their way into a VM, on virtual time.
#include "worker/unsealer.h"

#include <doctest/doctest.h>

#include "crypto/xts.h"
#include "worker/guest_process.h"
#include "worker/worker_fixture.h"

namespace perigee::worker {
namespace {

using model::MachineState;

const MachineId kId("m1");

struct WithKeys : Bench {
  WithKeys() : Bench(1) {
    start();
    REQUIRE(simulation.run(node.host().disk.make_directories("/etc", 0755)).has_value());
    REQUIRE(simulation.run(secrets::KeyFile::ensure(node.host(), kKeyRing)).has_value());
    keys = *simulation.run(secrets::KeyFile::open(node.host(), kKeyRing));
  }
  model::Machine with_secret(const std::string& value) {
    model::Machine wanted = machine("m1");
    secrets::Place place{secrets::Kind::app_secret, wanted.app.str() + "/PASSWORD"};
    wanted.secrets = {{"PASSWORD", *keys->ring().seal(place, value, node.host().entropy)}};
    return wanted;
  }
  model::Volume encrypted_volume(const std::string& key) {
    model::Volume volume;
    volume.id = VolumeId("vol_1");
    volume.name = "data";
    volume.app = AppName("hello");
    volume.node = NodeId("n1");
    volume.size_mib = 64;
    volume.machine = kId;
    volume.encrypted = true;
    const secrets::Place place{secrets::Kind::volume_key, "vol_1"};
    volume.sealed_key = *keys->ring().seal(place, key, node.host().entropy);
    return volume;
  }
  static model::Machine with_volume() {
    model::Machine wanted = machine("m1");
    wanted.config.mounts = {{.volume = VolumeId("vol_1"), .name = "data", .path = "/data"}};
    return wanted;
  }
  std::unique_ptr<secrets::KeyFile> keys;
};

const std::string kVolumeKey(crypto::kXtsKeyBytes, 'k');

TEST_CASE("a machine's VM gets its secrets opened, and its record keeps them sealed") {
  WithKeys bench;
  bench.control.want(bench.with_secret("hunter2"));
  REQUIRE(bench.until(kId, MachineState::started));
  const vm::VmSpec* spec = bench.vms->spec(kId);
  REQUIRE(spec != nullptr);
  CHECK(spec->secrets.environment == std::vector<std::string>{"PASSWORD=hunter2"});
  const std::string record = *bench.simulation.run(
      bench.node.host().disk.read_file("/state/machines/m1/machine.json", 1 << 20));
  CHECK(record.find("sealed1:") != std::string::npos);
  CHECK(record.find("hunter2") == std::string::npos);
  CHECK(bench.control.report()->sealing_keys ==
        std::vector<std::string>{bench.keys->ring().primary()});
}

TEST_CASE("after a rotation a running machine takes the new seal without a boot") {
  WithKeys bench;
  bench.control.want(bench.with_secret("hunter2"));
  REQUIRE(bench.until(kId, MachineState::started));
  REQUIRE(bench.simulation.run(bench.keys->rotate()).has_value());
  bench.control.want(bench.with_secret("hunter2"));
  bench.run_for(5s);
  CHECK(bench.vms->boots() == 1);
  CHECK(bench.control.report()->sealing_keys ==
        std::vector<std::string>{bench.keys->ring().primary()});
  bench.vms->crash(kId);  // its next boot needs a key that the worker has not seen yet
  bench.run_for(1s);
  REQUIRE(bench.until(kId, MachineState::started));
  CHECK(bench.vms->spec(kId)->secrets.environment == std::vector<std::string>{"PASSWORD=hunter2"});
}

TEST_CASE("a machine whose secrets can't be opened fails and says why, without them") {
  WithKeys bench;
  model::Machine machine = bench.with_secret("hunter2");
  machine.secrets.front().first = "OTHER";  // not where it was sealed for
  bench.control.want(machine);
  REQUIRE(bench.until(kId, MachineState::failed));
  CHECK(bench.control.status(kId)->error.find("OTHER") != std::string::npos);
  CHECK(bench.vms->boots() == 0);
}

TEST_CASE("an encrypted volume's disk is made with its key, which its machine's VM gets too") {
  WithKeys bench;
  bench.control.want(bench.encrypted_volume(kVolumeKey));
  bench.control.want(bench.with_volume());
  REQUIRE(bench.until(kId, MachineState::started));
  CHECK(bench.disks.key == kVolumeKey);
  CHECK(bench.vms->spec(kId)->secrets.volume_keys == std::map<int, std::string>{{0, kVolumeKey}});
  const std::string record = *bench.simulation.run(
      bench.node.host().disk.read_file("/state/volumes/vol_1/volume.json", 1 << 20));
  CHECK(record.find("sealed1:") != std::string::npos);
  CHECK(record.find(kVolumeKey) == std::string::npos);
  CHECK(bench.control.report()->sealing_keys ==
        std::vector<std::string>{bench.keys->ring().primary()});
}

TEST_CASE("an encrypted volume whose key can't be opened is not made, and says why") {
  struct Case {
    std::string sealed_for;
    std::string key;
    std::string why;
  };
  for (const Case& c :
       std::vector<Case>{{"", "", "not a sealed value"},
                         {"vol_2", kVolumeKey, "not sealed for this place"},
                         {"vol_1", kVolumeKey.substr(1), "63 bytes long, not 64"}}) {
    WithKeys bench;
    model::Volume volume = bench.encrypted_volume(c.key);
    const secrets::Place place{secrets::Kind::volume_key, c.sealed_for};
    volume.sealed_key = *bench.keys->ring().seal(place, c.key, bench.node.host().entropy);
    if (c.key.empty()) volume.sealed_key.clear();
    bench.control.want(volume);
    bench.control.want(bench.with_volume());
    bench.run_for(30s);
    CHECK(bench.disks.made == 0);
    CHECK(bench.vms->size() == 0);
    const model::VolumeStatus* status = bench.control.status(VolumeId("vol_1"));
    REQUIRE(status != nullptr);
    CHECK(status->state == model::VolumeState::failed);
    CHECK_MESSAGE(status->error.find("the key of volume vol_1") != std::string::npos,
                  status->error);
    CHECK_MESSAGE(status->error.find(c.why) != std::string::npos, status->error);
  }
}

TEST_CASE("an image is pulled with its registry's log-in, by a worker without control too") {
  WithKeys bench;
  const secrets::Place place{secrets::Kind::registry_password, "ghcr.io"};
  const std::string sealed = *bench.keys->ring().seal(place, "s3cr3t", bench.node.host().entropy);
  bench.control.want({.registry = "ghcr.io",
                      .username = "me",
                      .sealed_password = sealed,
                      .digest = {},
                      .created_at = {},
                      .updated_at = {}});
  model::Machine wanted = Bench::machine("m1");
  wanted.image.registry = "ghcr.io";
  bench.control.want(wanted);
  REQUIRE(bench.until(kId, MachineState::started));
  CHECK(bench.images.login == image::Login{"me", "s3cr3t"});
  CHECK(bench.control.report()->sealing_keys ==
        std::vector<std::string>{bench.keys->ring().primary()});
  const std::string kept =
      *bench.simulation.run(bench.node.host().disk.read_file("/state/registries.json", 1 << 20));
  CHECK(kept.find("sealed1:") != std::string::npos);
  CHECK(kept.find("s3cr3t") == std::string::npos);

  bench.control.go_away(true);
  bench.images.login = {};
  bench.crash(sim::Crash::process);
  bench.run_for(5s);
  bench.vms->crash(kId);  // its next boot prepares the image again
  bench.run_for(30s);
  CHECK(bench.images.login == image::Login{"me", "s3cr3t"});

  bench.control.forget_registry("ghcr.io");
  bench.control.go_away(false);
  bench.run_for(5s);
  CHECK(*bench.simulation.run(
            bench.node.host().disk.read_file("/state/registries.json", 1 << 20)) == "[]");
}

TEST_CASE("a secret wins over a variable of the same name") {
  image::Config image;
  image.cmd = {"/app"};
  image.env = {"PASSWORD=image", "KEPT=1"};
  model::Machine machine = Bench::machine("m1");
  machine.config.env = {{"PASSWORD", "config"}};
  machine.secrets = {{"PASSWORD", "sealed1:k:x"}};
  const auto process = guest_process(image, machine, "10.201.0.2");
  for (const std::string& item : process->env) {
    CHECK_FALSE(item.starts_with("PASSWORD="));
    CHECK(item.find("sealed1:") == std::string::npos);
  }
  CHECK(process->env.front() == "KEPT=1");
}

}  // namespace
}  // namespace perigee::worker
