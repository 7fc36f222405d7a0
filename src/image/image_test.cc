// References, manifests, the blob store, archives and the disk cache, on the real machine.
#include "image/image.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdio>

#include "async/combine.h"
#include "image/blob_writer.h"
#include "image/disk_plan.h"
#include "image/limits.h"
#include "image/manifest.h"
#include "image/tar_builder.h"
#include "image/temp_dir.h"
#include "image/test_image.h"
#include "sys/posix_host.h"

namespace perigee::image {
namespace {

TEST_CASE("references follow docker's rules") {
  const std::string digest = "sha256:" + std::string(64, 'a');
  const auto str = [](std::string_view text) {
    const auto reference = parse_reference(text);
    return reference ? reference->str() : "error: " + reference.error().context;
  };
  CHECK(str("nginx") == "docker.io/library/nginx:latest");
  CHECK(str("me/app:v1") == "docker.io/me/app:v1");
  CHECK(str("index.docker.io/nginx") == "docker.io/library/nginx:latest");
  CHECK(str("localhost/app") == "localhost/app:latest");
  CHECK(str("127.0.0.1:5000/a/b__c/d---e:t") == "127.0.0.1:5000/a/b__c/d---e:t");
  CHECK(str("[::1]:5000/app") == "[::1]:5000/app:latest");
  CHECK(str("ghcr.io/o/app@" + digest) == "ghcr.io/o/app@" + digest);
  CHECK(str("ghcr.io/o/app:t@" + digest) == "ghcr.io/o/app:t@" + digest);
  CHECK(str("UPPER/app") == "UPPER/app:latest");  // must be a registry
  CHECK(parse_reference(str("a.b/c:d")).value() == parse_reference("a.b/c:d").value());
  for (const char* bad :
       {"",         "http://x/y", "App",   "a//b",  "/a", "a/",     "a:",           "a@sha256:12",
        "a@md5:00", "a..b",       "a___b", "-a",    "a-", "x:5000", "host:99999/a", "ho_st.x/a",
        "a b",      "a:b:c",      "a:-t",  "[::1/a"}) {
    CAPTURE(bad);
    if (std::string_view(bad) == "x:5000") continue;  // a name and a tag
    CHECK_FALSE(parse_reference(bad).has_value());
  }
  CHECK_FALSE(parse_reference(std::string(64, 'a')).has_value());
  CHECK_FALSE(parse_reference(std::string(256, 'a')).has_value());
  CHECK_FALSE(parse_digest("sha256:" + std::string(64, 'G')).has_value());
  CHECK_FALSE(parse_digest("sha512:" + std::string(128, 'a')).has_value());
}

std::string refusal(std::string_view manifest) {
  const auto document = parse_document(manifest);
  REQUIRE_FALSE(document.has_value());
  return document.error().context;
}

TEST_CASE("manifests that can't be run are refused with the reason") {
  const std::string digest = "sha256:" + std::string(64, '1');
  const auto layer = [&](std::string_view type) {
    return fmt::format(
        R"({{"schemaVersion":2,"config":{{"mediaType":"{}","digest":"{}","size":2}},)"
        R"("layers":[{{"mediaType":"{}","digest":"{}","size":3}}]}})",
        kOciConfig, digest, type, digest);
  };
  CHECK(parse_document(layer("application/vnd.oci.image.layer.v1.tar+zstd")).has_value());
  CHECK(refusal(layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"))
            .find("foreign layer") != std::string::npos);
  CHECK(refusal(layer("application/vnd.wasm.content.layer.v1+wasm")).find("not a layer") !=
        std::string::npos);
  CHECK(refusal(R"({"schemaVersion":1,"fsLayers":[]})").find("schema 1") != std::string::npos);
  CHECK(refusal("[1]").find("not a JSON object") != std::string::npos);
  CHECK(refusal("{\"schemaVersion\":2").find("manifest") != std::string::npos);
  CHECK(refusal(R"({"schemaVersion":2})").find("neither an image") != std::string::npos);
  CHECK(
      refusal(fmt::format(R"({{"config":{{"mediaType":"{}","digest":"{}","size":2}},"layers":[]}})",
                          kOciConfig, digest))
          .find("no layers") != std::string::npos);
  CHECK(
      refusal(fmt::format(R"({{"config":{{"mediaType":"application/helm","digest":"{}","size":2}},)"
                          R"("layers":[]}})",
                          digest))
          .find("artifact") != std::string::npos);
  CHECK(refusal(R"({"config":{"digest":"../../etc","size":2},"layers":[]})").find("digest") !=
        std::string::npos);
}

TEST_CASE("an index gives this architecture's image, or says what there is") {
  const auto entry = [](std::string_view os, std::string_view arch, char c) {
    return Descriptor{.media_type = std::string(kOciManifest),
                      .digest = "sha256:" + std::string(64, c),
                      .size = 1,
                      .os = std::string(os),
                      .architecture = std::string(arch)};
  };
  const auto mine = entry("linux", this_architecture(), 'b');
  CHECK(choose_platform({{entry("linux", "s390x", 'a'), entry("unknown", "unknown", 'c'), mine}})
            .value() == mine);
  const auto none =
      choose_platform({{entry("linux", "s390x", 'a'), entry("windows", "amd64", 'd')}});
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().context.find("linux/s390x, windows/amd64") != std::string::npos);
  const auto single = entry("", "", 'e');
  CHECK(choose_platform({{single}}).value() == single);
  CHECK_FALSE(choose_platform({{single, entry("", "", 'f')}}).has_value());
}

TEST_CASE("a configuration for another architecture or system is refused") {
  const auto config = parse_config(R"({"os":"linux","architecture":"s390x","rootfs":{}})");
  REQUIRE_FALSE(config.has_value());
  CHECK(config.error().context.find("linux/s390x") != std::string::npos);
  CHECK_FALSE(parse_config(R"({"architecture":"amd64","rootfs":{}})").has_value());
  const auto whole = parse_config(fmt::format(
      R"({{"os":"linux","architecture":"{}","config":{{"Entrypoint":null,"Cmd":["a","b"],)"
      R"("Env":["X=y"],"User":"u:g","WorkingDir":"/w","StopSignal":"SIGTERM",)"
      R"("ExposedPorts":{{"80/tcp":{{}}}}}},"rootfs":{{"diff_ids":[]}}}})",
      this_architecture()));
  REQUIRE(whole.has_value());
  CHECK(whole->config.cmd == std::vector<std::string>{"a", "b"});
  CHECK(whole->config.entrypoint.empty());
  CHECK(whole->config.user == "u:g");
  CHECK(whole->config.exposed_ports == std::vector<std::string>{"80/tcp"});
}

struct Fixture {
  TempDir dir;
  std::unique_ptr<sys::PosixHost> machine = *sys::PosixHost::open(3);
  sys::Host& host = machine->host();
  BlobStore blobs{host, dir.path("blobs")};
  template <typename T>
  T run(async::Task<T> task) {
    return machine->loop().run(std::move(task));
  }
  Result<Image> import(const std::string& name) {
    return run(import_archive(host, blobs, dir.path(name)));
  }
  std::vector<std::string> stored() {
    auto names = run(host.disk.list(dir.path("blobs/sha256")));
    return names.value_or(std::vector<std::string>{});
  }
};

TEST_CASE("a configuration that has other layers than the manifest is refused") {
  const TestImage image = make_image({TarBuilder().file("a", "a").end(), TarBuilder().end()});
  const TestImage fewer = make_image({image.layers[0]});
  const auto document = parse_document(image.manifest);
  auto config = parse_config(fewer.config);
  REQUIRE((document.has_value() && config.has_value()));
  const auto assembled =
      assemble(image.manifest_digest, std::get<ManifestDocument>(*document), *std::move(config));
  REQUIRE_FALSE(assembled.has_value());
  CHECK(assembled.error().context.find("2 layers, the image's configuration 1") !=
        std::string::npos);
}

TEST_CASE("a blob is there when it is whole and right, and never otherwise") {
  Fixture f;
  const std::string digest = "sha256:" + crypto::sha256_hex("hello");
  CHECK(f.run(f.blobs.has(digest)).value() == false);
  {
    auto upload = f.run(f.blobs.begin(digest)).value();
    REQUIRE(f.run(upload->write("hel")).has_value());
    CHECK(f.run(f.blobs.has(digest)).value() == false);
  }  // given up
  CHECK(f.stored().empty());
  {
    auto upload = f.run(f.blobs.begin(digest)).value();
    REQUIRE(f.run(upload->write("hellO")).has_value());
    const auto committed = f.run(upload->commit());
    REQUIRE_FALSE(committed.has_value());
    CHECK(committed.error().code == Code::data_loss);
  }
  CHECK(f.stored().empty());
  for (int i = 0; i < 2; ++i) {  // again is fine
    auto upload = f.run(f.blobs.begin(digest)).value();
    REQUIRE(f.run(upload->write("hel")).has_value());
    REQUIRE(f.run(upload->write("lo")).has_value());
    REQUIRE(f.run(upload->commit()).has_value());
  }
  CHECK(f.run(f.blobs.read(digest, 100)).value() == "hello");
  CHECK(f.run(f.blobs.read(digest, 4)).error().code == Code::resource_exhausted);
  CHECK_FALSE(f.run(f.blobs.begin("sha256:../../x")).has_value());
  f.dir.write("blobs/sha256/" + digest.substr(7), "hellx");
  CHECK(f.run(f.blobs.read(digest, 100)).error().code == Code::data_loss);
}

const std::vector<std::string>& two_layers() {
  static const std::vector<std::string> kLayers = {
      TarBuilder().dir("etc/").file("etc/base", "base").end(),
      TarBuilder().dir("etc/").file("etc/top", "top").file("etc/.wh.base", "").end()};
  return kLayers;
}

TEST_CASE("docker save's archive, old and new and gzipped, becomes an image of ours") {
  const TestImage image = make_image(two_layers());
  for (const std::string& kind : {"old", "new", "gzip"}) {
    CAPTURE(kind);
    Fixture f;
    f.dir.write("a.tar", kind == "old" ? docker_save_old(image) : docker_save_new(image));
    if (kind == "gzip") REQUIRE(shell("gzip " + f.dir.path("a.tar")).status == 0);
    const auto imported = f.import(kind == "gzip" ? "a.tar.gz" : "a.tar");
    REQUIRE_MESSAGE(imported.has_value(), (imported ? "" : imported.error().context));
    REQUIRE(imported->manifest.layers.size() == 2);
    CHECK(imported->manifest.layers[0].digest == imported->manifest.layers[0].diff_id);
    CHECK(imported->manifest.layers[1].diff_id == image.diff_ids[1]);
    CHECK(imported->config.cmd == std::vector<std::string>{"/run", "me"});
    CHECK(f.stored().size() == 4);  // manifest, config, two layers
    const auto again = f.run(load(f.blobs, imported->manifest.digest));
    REQUIRE(again.has_value());
    CHECK(again->manifest == imported->manifest);
  }
}

TEST_CASE("an OCI archive and an OCI layout directory keep the image's own digest") {
  const TestImage image = make_image(two_layers());
  Fixture f;
  f.dir.write("a.oci", oci_archive(image));
  const auto archive = f.import("a.oci");
  REQUIRE_MESSAGE(archive.has_value(), (archive ? "" : archive.error().context));
  CHECK(archive->manifest.digest == image.manifest_digest);
  REQUIRE(shell("mkdir " + f.dir.path("layout") + " && tar -xf " + f.dir.path("a.oci") + " -C " +
                f.dir.path("layout"))
              .status == 0);
  Fixture g;
  const auto layout = g.run(import_archive(g.host, g.blobs, f.dir.path("layout")));
  REQUIRE_MESSAGE(layout.has_value(), (layout ? "" : layout.error().context));
  CHECK(layout->manifest == archive->manifest);
}

TEST_CASE("archives that are none, lie or are cut off are refused, naming file and cause") {
  const TestImage image = make_image(two_layers());
  Fixture f;
  const auto error = [&](const std::string& bytes) {
    f.dir.write("bad.tar", bytes);
    const auto imported = f.import("bad.tar");
    REQUIRE_FALSE(imported.has_value());
    CHECK(imported.error().context.find("bad.tar") != std::string::npos);
    return imported.error().context;
  };
  CHECK(error("hello").find("tar") != std::string::npos);
  CHECK(error(TarBuilder().file("x", "y").end()).find("manifest.json") != std::string::npos);
  CHECK(error(TarBuilder().file("manifest.json", "[]").end()).find("0 images") !=
        std::string::npos);
  CHECK(error(TarBuilder().file("manifest.json", "[{]").end()).find("manifest.json") !=
        std::string::npos);
  CHECK(error(TarBuilder().file("manifest.json", R"([{"Config":"c","Layers":["l"]}])").end())
            .find("\"c\", which is not in it") != std::string::npos);
  CHECK(error(TarBuilder().file("blobs/sha256/" + std::string(64, '0'), "x").end()).find("hash") !=
        std::string::npos);
  const std::string whole = docker_save_new(image);
  CHECK(error(whole.substr(0, 2000)).find("middle") != std::string::npos);
  CHECK(f.import("absent.tar").error().code == Code::not_found);
}

Manifest must_import(Fixture& f, const std::vector<std::string>& layers) {
  f.dir.write("a.tar", docker_save_new(make_image(layers)));
  auto imported = f.import("a.tar");
  REQUIRE_MESSAGE(imported.has_value(), (imported ? "" : imported.error().context));
  return imported->manifest;
}

TEST_CASE("a plan merges the lowest layers and leaves out those that change nothing") {
  Manifest manifest;
  for (int i = 0; i < 6; ++i) {
    const std::string id = "sha256:" + crypto::sha256_hex(std::to_string(i));
    manifest.layers.push_back({.digest = id, .diff_id = id, .media_type = {}, .size = 1});
  }
  manifest.layers[3].diff_id = std::string(kEmptyLayer);
  CHECK(plan_disks(manifest, 4, 1).layers.size() == 5);
  CHECK(plan_disks(manifest, 4, 1).in_bottom == 2);
  CHECK(plan_disks(manifest, 9, 1).in_bottom == 1);
  CHECK(plan_disks(manifest, 9, 3).in_bottom == 3);
  CHECK(plan_disks(manifest, 1, 1).in_bottom == 5);
  // A changed top layer leaves the lowest disk as it is.
  const std::string before = bottom_name(plan_disks(manifest, 3, 1));
  manifest.layers[5].diff_id = "sha256:" + std::string(64, '9');
  CHECK(bottom_name(plan_disks(manifest, 3, 1)) == before);
  CHECK(chain_hex(manifest.layers, 1) == manifest.layers[0].diff_id.substr(7));
}

TEST_CASE("disks are made once, found again by another cache, and made anew when broken") {
  Fixture f;
  const Manifest manifest = must_import(f, two_layers());
  DiskCache cache(f.host, f.dir.path("disks"));
  std::vector<async::Task<Result<std::vector<std::string>>>> tasks;
  for (int i = 0; i < 5; ++i) tasks.push_back(cache.disks_for(f.blobs, manifest, 4));
  const auto results = f.run(async::all_of(f.machine->loop(), std::move(tasks)));
  for (const auto& result : results) {
    REQUIRE_MESSAGE(result.has_value(), (result ? "" : result.error().context));
    CHECK(*result == *results[0]);
  }
  REQUIRE(results[0]->size() == 2);
  struct stat before{};
  struct stat after{};
  const std::string bottom = results[0]->front();
  REQUIRE(::stat(bottom.c_str(), &before) == 0);
  CHECK((before.st_mode & 0777) == 0644);
  DiskCache other(f.host, f.dir.path("disks"));
  REQUIRE(f.run(other.disks_for(f.blobs, manifest, 4)).has_value());
  REQUIRE(::stat(bottom.c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
  REQUIRE(shell("truncate -s -4096 " + bottom).status == 0);
  REQUIRE(f.run(other.disks_for(f.blobs, manifest, 4)).has_value());
  REQUIRE(::stat(bottom.c_str(), &after) == 0);
  CHECK(before.st_size == after.st_size);
  for (const std::string& path : *results[0]) CHECK(shell("fsck.erofs " + path).status == 0);
  CHECK(f.run(cache.disks_for(f.blobs, manifest, 1)).value().size() == 1);
}

TEST_CASE("a layer that leans on lower ones is merged with them") {
  Fixture f;
  const Manifest manifest = must_import(
      f, {TarBuilder().dir("a/").file("a/x", "x").end(), TarBuilder().file("a/y", "y").end(),
          TarBuilder().dir("b/").file("b/z", "z").end()});
  DiskCache cache(f.host, f.dir.path("disks"));
  for (int i = 0; i < 2; ++i) {
    const auto disks = f.run(cache.disks_for(f.blobs, manifest, 4));
    REQUIRE_MESSAGE(disks.has_value(), (disks ? "" : disks.error().context));
    CHECK(disks->size() == 2);
  }
}

TEST_CASE("a cancelled caller takes nothing from the others, and a failure leaves nothing behind") {
  Fixture f;
  const Manifest manifest = must_import(f, two_layers());
  DiskCache cache(f.host, f.dir.path("disks"));
  {
    auto cancelled = cache.disks_for(f.blobs, manifest, 4);
    cancelled.start();
  }
  CHECK(f.run(cache.disks_for(f.blobs, manifest, 4)).has_value());
  Manifest lying = manifest;
  lying.layers[0].diff_id = "sha256:" + std::string(64, '5');
  const auto failed = f.run(cache.disks_for(f.blobs, lying, 4));
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().context.find(lying.layers[0].digest) != std::string::npos);
  const auto names = f.run(f.host.disk.list(f.dir.path("disks"))).value();
  CHECK(names.size() == 3);  // two disks and the locks
}

TEST_CASE(
    "a full cache fails with layer and cause, keeps nothing of it, and works again with room") {
  Fixture f;
  const std::string disks = f.dir.path("disks");
  const std::string tmpfs = "mkdir " + disks + " && mount -t tmpfs -o size=1m tmpfs " + disks;
  if (const Shell mount = shell(tmpfs); mount.status != 0) {
    std::printf("skipped: no mount of a tmpfs here: %s", mount.out.c_str());
    return;
  }
  const Manifest manifest =
      must_import(f, {TarBuilder().file("big", std::string(3 * kMiB, 'b')).end()});
  DiskCache cache(f.host, disks);
  const auto failed = f.run(cache.disks_for(f.blobs, manifest, 4));
  CHECK(f.run(f.host.disk.list(disks)).value() == std::vector<std::string>{"locks"});
  shell("mount -o remount,size=64m " + disks);
  const auto made = f.run(cache.disks_for(f.blobs, manifest, 4));
  shell("umount " + disks);
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().context.find(manifest.layers[0].digest) != std::string::npos);
  CHECK(failed.error().context.find("No space left on device") != std::string::npos);
  CHECK_MESSAGE(made.has_value(), (made ? "" : made.error().context));
}

TEST_CASE("an upper disk is an empty ext4, sparse and sound") {
  Fixture f;
  const std::string path = f.dir.path("upper.ext4");
  REQUIRE(f.run(make_upper_disk(f.host, path, 8 * kGiB)).has_value());
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK(static_cast<std::uint64_t>(info.st_size) == 8 * kGiB);
  CHECK(static_cast<std::uint64_t>(info.st_blocks) * 512 < 16 * kMiB);
  CHECK(shell("e2fsck -fn " + path).status == 0);
  CHECK(f.run(make_upper_disk(f.host, path, 1)).error().code == Code::invalid_argument);
}

}  // namespace
}  // namespace perigee::image
