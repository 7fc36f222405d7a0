// Volumes over the public API: who may have one, what becomes of it when its machine goes, and
// deploys of apps that have them.
#include "control/control_fixture.h"
#include "control/volume_frontend.h"
#include "crypto/xts.h"

namespace perigee::control {
namespace {

constexpr const char* kMounting = R"({"image": "db:1", "config": {
    "services": [{"internal_port": 5432}],
    "mounts": [{"name": "data", "path": "/data", "size_mb": 64}]}})";

struct VolumeFixture : ControlFixture {
  VolumeFixture() {
    send(node());
    REQUIRE(call("POST", "/v1/apps", R"({"app_name": "db"})").status == 201);
  }

  json::Value create(const std::string& name = "data", int size_mb = 64) {
    const Got got = call("POST", "/v1/apps/db/volumes",
                         fmt::format(R"({{"name": "{}", "size_mb": {}}})", name, size_mb));
    REQUIRE_MESSAGE(got.status == 200, got.text);
    return got.body;
  }
  Got make_machine(const std::string& volume, const std::string& path = "/data") {
    return call("POST", "/v1/apps/db/machines",
                fmt::format(R"({{"config": {{"image": "db:1", "mounts": [
                                {{"volume": "{}", "path": "{}"}}]}}}})",
                            volume, path));
  }
  json::Value volumes() { return call("GET", "/v1/apps/db/volumes").body; }
  std::string text(const json::Value& value, std::string_view key) {
    const json::Value* member = value.find(key);
    return member == nullptr || member->string() == nullptr ? "" : *member->string();
  }
  // The one machine of the app as the store has it.
  model::Machine machine() {
    const auto entries = loop().run(store.list("/machines/"))->entries;
    REQUIRE(entries.size() == 1);
    return *model::machine_from(*json::parse(entries[0].value));
  }
  // Reports what is wanted as done until the release has ended.
  std::string deploy(const std::string& body, int version, const Change& change = {}) {
    const Got got = call("POST", "/v1/apps/db/releases", body);
    REQUIRE_MESSAGE(got.status == 202, got.text);
    REQUIRE(eventually([&] {
      work(change);
      const std::string status = release_status("db", version);
      return status == "succeeded" || status == "failed";
    }));
    return release_status("db", version);
  }
};

// As the store has it.
model::Volume stored_volume(VolumeFixture& f, const std::string& id) {
  return *model::volume_from(*json::parse((*f.loop().run(f.store.get("/volumes/" + id)))->value));
}
std::string key_of(VolumeFixture& f, const std::string& id) {
  const auto key =
      f.keys->ring().open({secrets::Kind::volume_key, id}, stored_volume(f, id).sealed_key);
  REQUIRE_MESSAGE(key.has_value(), key.error().context);
  return *key;
}

TEST_CASE_FIXTURE(VolumeFixture, "an encrypted volume has a sealed key of its own, never shown") {
  const auto make = [this](const std::string& more) {
    const Got got = call("POST", "/v1/apps/db/volumes",
                         fmt::format(R"({{"name": "data", "size_mb": 64{}}})", more));
    CAPTURE(got.text);
    CHECK(got.text.find("sealed1:") == std::string::npos);
    return got;
  };
  const json::Value first = make(R"(, "encrypted": true)").body;
  const std::string id = text(first, "id");
  CHECK(first.optional_bool("encrypted", false) == true);
  CHECK(key_of(*this, id).size() == crypto::kXtsKeyBytes);
  CHECK(key_of(*this, id) != key_of(*this, text(make(R"(, "encrypted": true)").body, "id")));
  const std::string plain = text(make(R"(, "encrypted": false)").body, "id");
  CHECK(stored_volume(*this, plain).sealed_key.empty());
  work();
  CHECK(call("GET", "/v1/apps/db/volumes/" + id).text.find("sealed1:") == std::string::npos);

  // A copy of what it holds opens with the same key, sealed for its own place.
  const std::string snapshot =
      text(call("POST", "/v1/apps/db/volumes/" + id + "/snapshots").body, "id");
  const std::string from = fmt::format(R"(, "snapshot_id": "{}")", snapshot);
  const std::string copy = text(make(from).body, "id");
  CHECK(key_of(*this, copy) == key_of(*this, id));
  CHECK(stored_volume(*this, copy).sealed_key != stored_volume(*this, id).sealed_key);
  CHECK(make(from + R"(, "encrypted": false)").status == 400);
}

TEST_CASE_FIXTURE(VolumeFixture, "a rotation seals volumes' keys anew, and they stay the same") {
  const Got got =
      call("POST", "/v1/apps/db/volumes", R"({"name": "data", "size_mb": 64, "encrypted": true})");
  const std::string id = text(got.body, "id");
  const std::string key = key_of(*this, id);
  const std::string before = stored_volume(*this, id).sealed_key;
  CHECK(call("POST", "/v1/keys/rotate").status == 202);
  CHECK(eventually([&] { return keys->ring().is_current(stored_volume(*this, id).sealed_key); }));
  CHECK(stored_volume(*this, id).sealed_key != before);
  CHECK(key_of(*this, id) == key);
  CHECK(eventually([&] { return keys->ring().key_ids().size() == 1; }));
}

TEST_CASE_FIXTURE(VolumeFixture, "a volume is made, shown, extended and destroyed") {
  const json::Value volume = create();
  const std::string id = text(volume, "id");
  CHECK(id.starts_with("vol_"));
  CHECK(text(volume, "state") == "creating");
  CHECK(text(volume, "region") == "iad");
  CHECK(volume.find("attached_machine_id")->is_null());
  const std::string path = "/v1/apps/db/volumes/" + id;
  work();
  CHECK(text(call("GET", path).body, "state") == "created");
  CHECK(call("GET", "/v1/apps/db").body.optional_int("volume_count", 0) == 1);

  CHECK(call("PUT", path + "/extend", R"({"size_mb": 32})").status == 400);
  CHECK(call("PUT", path + "/extend", "{}").status == 400);
  const Got extended = call("PUT", path + "/extend", R"({"size_mb": 128})");
  REQUIRE(extended.status == 200);
  CHECK(extended.body.optional_bool("needs_restart", true) == false);
  CHECK(text(*extended.body.find("volume"), "state") == "extending");
  work();
  CHECK(text(call("GET", path).body, "state") == "created");

  CHECK(call("DELETE", path).status == 200);
  CHECK(volumes().items().empty());
  CHECK(eventually([&] {
    work();
    return call("GET", path).status == 404;
  }));
}

TEST_CASE_FIXTURE(VolumeFixture, "bad volumes are refused with what is wrong") {
  struct Case {
    const char* body;
    int status;
    const char* words;
  };
  const std::vector<Case> cases{
      {R"({"size_gb": 1})", 400, "name"},
      {R"({"name": "A b"})", 400, "volume name"},
      {R"({"name": "a", "size_mb": 1})", 400, "size_mb"},
      {R"({"name": "a", "size_gb": 100000})", 400, "size_gb"},
      {R"({"name": "a", "fstype": "xfs"})", 400, "only ext4"},
      {R"({"name": "a", "snapshot_id": "vs_none"})", 404, "no snapshot"},
      {R"({"name": "a", "region": "syd"})", 503, "syd"},
      {R"({"name": "a", "size_gb": 20})", 503, "MiB of disk left"},
      {R"({"name": "a", "snapshot_retention": 0})", 400, "snapshot_retention"},
  };
  for (const Case& c : cases) {
    const Got got = call("POST", "/v1/apps/db/volumes", c.body);
    CAPTURE(got.text);
    CHECK(got.status == c.status);
    CHECK(got.text.contains(c.words));
  }
  CHECK(volumes().items().empty());
}

TEST_CASE_FIXTURE(VolumeFixture, "the room on a node counts what its volumes may still grow") {
  create("a", 6000);
  const Got second = call("POST", "/v1/apps/db/volumes", R"({"name": "b", "size_mb": 6000})");
  CHECK(second.text.contains("has 4000 MiB of disk left"));
  create("c", 4000);
}

TEST_CASE_FIXTURE(VolumeFixture, "a volume is of one machine, and free when that is gone") {
  const std::string id = text(create(), "id");
  const Got first = make_machine(id);
  REQUIRE_MESSAGE(first.status == 200, first.text);
  const std::string machine = text(first.body, "id");
  CHECK(text(volumes().items()[0], "attached_machine_id") == machine);

  const Got second = make_machine(id);
  CHECK(second.status == 409);
  CHECK(second.text.contains("is attached to machine " + machine));
  CHECK(call("DELETE", "/v1/apps/db/volumes/" + id).status == 409);
  CHECK(make_machine("vol_none").status == 404);

  const std::string path = "/v1/apps/db/machines/" + machine;
  const Got dropped = call("POST", path, R"({"config": {"image": "db:2"}})");
  CHECK(dropped.text.contains("keeps the volumes that it has"));

  CHECK(call("DELETE", path + "?force=true").status == 200);
  CHECK(make_machine(id).status == 409);  // its VM may still have it
  REQUIRE(eventually([&] {
    work();
    return volumes().items()[0].find("attached_machine_id")->is_null();
  }));
  CHECK(make_machine(id).status == 200);
}

TEST_CASE_FIXTURE(VolumeFixture, "paths that would hide the machine's own parts are refused") {
  const std::string id = text(create(), "id");
  for (const char* path : {"data", "/", "//", "/a/../b", "/dev", "/proc/x", "/sys"}) {
    CAPTURE(path);
    CHECK(make_machine(id, path).status == 400);
  }
  CHECK(make_machine(id, "/var/lib/data").status == 200);
}

TEST_CASE_FIXTURE(VolumeFixture, "a snapshot is made, and a new volume begins with it") {
  const std::string path = "/v1/apps/db/volumes/" + text(create(), "id");
  work();
  const Got made = call("POST", path + "/snapshots");
  REQUIRE(made.status == 200);
  const std::string snapshot = text(made.body, "id");
  CHECK(text(made.body, "status") == "creating");
  work();
  CHECK(text(call("GET", path + "/snapshots").body.items()[0], "status") == "created");

  const std::string body = fmt::format(R"({{"name": "copy", "snapshot_id": "{}"}})", snapshot);
  const Got copy = call("POST", "/v1/apps/db/volumes", body);
  REQUIRE_MESSAGE(copy.status == 200, copy.text);
  CHECK(text(copy.body, "state") == "restoring");
  CHECK(copy.body.optional_int("size_mb", 0) == 64);
  CHECK(call("DELETE", path + "/snapshots/" + snapshot).status == 409);  // it is being copied
  CHECK(call("DELETE", path).status == 409);
  work();
  CHECK(call("DELETE", path + "/snapshots/" + snapshot).status == 200);
  CHECK(call("GET", path + "/snapshots").body.items().empty());
  CHECK(call("DELETE", path + "/snapshots/" + snapshot).status == 404);
}

TEST_CASE("snapshots go when they are older than their volume keeps them") {
  model::Volume volume;
  volume.snapshot_retention_days = 2;
  volume.snapshots = {{.id = SnapshotId("vs_1"), .created_at = {0}},
                      {.id = SnapshotId("vs_2"), .created_at = WallTime{0} + 1h}};
  CHECK(without_expired_snapshots(volume, WallTime{0} + 47h) == volume);
  const model::Volume later = without_expired_snapshots(volume, WallTime{0} + 48h);
  REQUIRE(later.snapshots.size() == 1);
  CHECK(later.snapshots[0].id.str() == "vs_2");
}

TEST_CASE_FIXTURE(VolumeFixture,
                  "a deploy makes the volume, and the next one keeps machine and it") {
  CHECK(deploy(kMounting, 1) == "succeeded");
  const model::Machine first = machine();
  const std::string volume = text(volumes().items()[0], "id");
  CHECK(first.config.mounts[0].volume.str() == volume);
  CHECK(text(volumes().items()[0], "attached_machine_id") == first.id.str());
  CHECK(volumes().items()[0].optional_int("size_mb", 0) == 64);

  CHECK(deploy(kMounting, 2) == "succeeded");
  const model::Machine second = machine();
  CHECK(second.id == first.id);
  CHECK(second.instance_id != first.instance_id);
  CHECK(second.release == 2);
  CHECK_FALSE(second.cordoned);
  CHECK(second.config.mounts[0].volume.str() == volume);
  CHECK(volumes().items().size() == 1);
}

TEST_CASE_FIXTURE(VolumeFixture, "a deploy that fails puts the machine back, with its volume") {
  CHECK(deploy(kMounting, 1) == "succeeded");
  const model::Machine before = machine();
  const Change fails = [](const model::Machine& machine, model::MachineStatus& status) {
    if (machine.release != 2) return;
    status.state = model::MachineState::failed;
    status.error = "it broke";
  };
  CHECK(deploy(kMounting, 2, fails) == "failed");
  const model::Machine after = machine();
  CHECK(after.id == before.id);
  CHECK(after.release == 1);
  CHECK(after.desired == model::DesiredState::started);
  CHECK(after.config == before.config);
}

TEST_CASE_FIXTURE(VolumeFixture, "a free volume of the name is taken before one is made") {
  const std::string id = text(create("data", 128), "id");
  CHECK(deploy(kMounting, 1) == "succeeded");
  CHECK(machine().config.mounts[0].volume.str() == id);
  CHECK(volumes().items().size() == 1);
}

TEST_CASE_FIXTURE(VolumeFixture, "an app goes with its volumes") {
  CHECK(deploy(kMounting, 1) == "succeeded");
  CHECK(call("DELETE", "/v1/apps/db").status == 202);
  CHECK(eventually([&] {
    work();
    return loop().run(store.list("/volumes/"))->entries.empty() &&
           loop().run(store.list("/machines/"))->entries.empty();
  }));
}

}  // namespace
}  // namespace perigee::control
