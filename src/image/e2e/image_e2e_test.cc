// End to end with the real tools: buildah makes an image of a Dockerfile, skopeo pushes it to
// Debian's docker-registry, and what the kernel mounts of our disks is what buildah mounts.
// Skipped, with the reason, where a tool is missing or mounts are not allowed.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "image/image.h"
#include "image/limits.h"
#include "image/temp_dir.h"
#include "sys/posix_host.h"

namespace perigee::image {
namespace {

constexpr const char* kDockerfile =
    R"(FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "mkdir", "-p", "/etc", "/tmp", "/var/data", "/old/deep"]
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox echo base > /etc/conf"]
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox touch /old/deep/x"]
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox chmod 1777 /tmp; /bin/busybox chown 7:8 /var/data"]
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox rm -r /old; /bin/busybox mkdir /old"]
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox touch /old/new"]
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox ln /etc/conf /etc/hard"]
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox ln -s conf /etc/soft"]
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox rm /etc/conf; /bin/busybox mkdir /etc/conf"]
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox rm -r /var/data; /bin/busybox touch /var/data"]
ARG GREETING
ENV GREETING=$GREETING
USER 7:8
WORKDIR /tmp
CMD ["/bin/busybox", "sh"]
)";

std::string find_program(const std::string& name) {
  const char* given = std::getenv("PERIGEE_DOCKER_REGISTRY");
  if (name == "docker-registry" && given != nullptr) return given;
  std::string path = shell("command -v " + name).out;
  while (path.ends_with('\n')) path.pop_back();
  return path;
}

// Why the tests can't run here; empty: they can.
std::string obstacle() {
  if (::geteuid() != 0) return "needs root (mounts, buildah's overlay)";
  for (const char* tool : {"buildah", "skopeo", "docker-registry"}) {
    if (find_program(tool).empty()) return std::string(tool) + " is not installed";
  }
  if (::access("/bin/busybox", X_OK) != 0) return "/bin/busybox is not there";
  return {};
}

struct Fixture {
  TempDir dir;
  std::unique_ptr<sys::PosixHost> machine = *sys::PosixHost::open(6);
  sys::Host& host = machine->host();
  BlobStore blobs{host, dir.path("blobs")};
  DiskCache disks{host, dir.path("disks")};

  Fixture() {
    dir.write("storage.conf",
              fmt::format("[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
                          dir.path("graph"), dir.path("run")));
    ::setenv("CONTAINERS_STORAGE_CONF", dir.path("storage.conf").c_str(), 1);
    dir.write("app/Dockerfile", kDockerfile);
    REQUIRE(shell("cp /bin/busybox " + dir.path("app/")).status == 0);
  }
  ~Fixture() {
    shell("buildah umount --all; buildah rm --all; umount " + dir.path("graph/overlay"));
    ::unsetenv("CONTAINERS_STORAGE_CONF");
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  template <typename T>
  T run(async::Task<T> task) {
    return machine->loop().run(std::move(task));
  }
  std::string build(std::vector<std::string>& lines) {
    Build build{.context_directory = dir.path("app"),
                .dockerfile = {},
                .args = {{"GREETING", "hello"}},
                .target = {}};
    const auto built =
        run(build_dockerfile(host, build, dir.path("app.oci"),
                             [&](std::string_view line) { lines.emplace_back(line); }));
    return built ? "" : built.error().context;
  }
};

// docker-registry on a free port of loopback; ends with the object.
class RegistryServer {
 public:
  RegistryServer(Fixture& f) : f_(f) {
    auto listener = f.host.network.listen(*sys::Address::parse("127.0.0.1:0"));
    name_ = (*listener)->local().str();
    listener->reset();  // free again for the registry
    f.dir.write("registry.yml",
                fmt::format("version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n"
                            "http: {{addr: {}}}\nlog: {{level: error}}\n",
                            f.dir.path("registry"), name_));
    const std::string command =
        fmt::format("exec {} serve {} >/dev/null 2>&1", find_program("docker-registry"),
                    f.dir.path("registry.yml"));
    const sys::Spawn spawn{.argv = {"/bin/sh", "-c", command}};
    process_ = *f.host.processes.spawn(spawn);
    shell("for i in $(seq 100); do curl -fs http://" + name_ + "/v2/ && break; sleep 0.1; done");
  }
  ~RegistryServer() {
    std::ignore = process_->signal(SIGKILL);
    f_.run(process_->wait());
  }
  RegistryServer(const RegistryServer&) = delete;
  RegistryServer& operator=(const RegistryServer&) = delete;
  const std::string& name() const { return name_; }

 private:
  Fixture& f_;
  std::string name_;
  std::unique_ptr<sys::Process> process_;
};

// The disks joined as the guest joins them.
class Joined {
 public:
  Joined(const TempDir& dir, const std::vector<std::string>& disks) : root_(dir.path("joined")) {
    std::string lower;
    for (std::size_t i = 0; i < disks.size(); ++i) {
      mounts_.push_back(fmt::format("{}.{}", root_, i));
      std::filesystem::create_directory(mounts_.back());
      ok_ =
          ok_ && shell("mount -t erofs -o ro,loop " + disks[i] + " " + mounts_.back()).status == 0;
      lower = mounts_.back() + (lower.empty() ? "" : ":") + lower;
    }
    if (disks.size() == 1) {  // overlayfs wants two, and there is nothing to join
      root_ = mounts_.front();
      return;
    }
    std::filesystem::create_directory(root_);
    ok_ =
        ok_ && shell("mount -t overlay -o ro,lowerdir=" + lower + " overlay " + root_).status == 0;
  }
  ~Joined() {
    shell("umount " + root_);
    for (const std::string& mount : mounts_) shell("umount " + mount);
  }
  Joined(const Joined&) = delete;
  Joined& operator=(const Joined&) = delete;
  bool ok() const { return ok_; }
  const std::string& root() const { return root_; }

 private:
  std::string root_;
  std::vector<std::string> mounts_;
  bool ok_ = true;
};

// Type, mode, owner, size, time, target and content of every path. What a builder itself puts into
// a running container's mount is left out.
std::string tree_of(const std::string& root) {
  const std::string skip =
      "grep -vE '^\\./(dev|proc|sys|run)(/| )|^\\./etc/(hosts|hostname|resolv.conf) |^\\. '";
  return shell("cd " + root +
               " && find . -type d -printf '%p %y %m %U %G\\n' -o "
               "-printf '%p %y %m %U %G %s %T@ %l\\n' | LC_ALL=C sort | " +
               skip + "; find . -type f | LC_ALL=C sort | xargs sha256sum")
      .out;
}

TEST_CASE("a Dockerfile's image, by archive and by registry, is the tree that buildah mounts") {
  if (const std::string why = obstacle(); !why.empty()) {
    std::printf("skipped: %s\n", why.c_str());
    return;
  }
  Fixture f;
  std::vector<std::string> lines;
  REQUIRE(f.build(lines) == "");
  CHECK(std::ranges::find_if(lines, [](const std::string& line) {
          return line.starts_with("STEP 2/");
        }) != lines.end());
  const auto image = f.run(import_archive(f.host, f.blobs, f.dir.path("app.oci")));
  REQUIRE_MESSAGE(image.has_value(), (image ? "" : image.error().context));
  CHECK(image->manifest.layers.size() > 4);
  CHECK(image->config.user == "7:8");
  CHECK(image->config.directory == "/tmp");
  CHECK(image->config.cmd == std::vector<std::string>{"/bin/busybox", "sh"});
  CHECK(std::ranges::find(image->config.env, "GREETING=hello") != image->config.env.end());
  const std::string archive = "oci-archive:" + f.dir.path("app.oci");
  Shell mounted = shell("buildah mount $(buildah from " + archive + " | tail -n 1) | tail -n 1");
  while (mounted.out.ends_with('\n')) mounted.out.pop_back();
  REQUIRE_MESSAGE(mounted.out.starts_with('/'), mounted.out);
  const std::string expected = tree_of(mounted.out);
  REQUIRE(expected.find("./old/new f ") != std::string::npos);

  RegistryServer registry(f);
  const std::string name = registry.name() + "/team/app:v1";
  const Shell pushed = shell("skopeo copy --dest-tls-verify=false --dest-compress-format gzip " +
                             archive + " docker://" + name);
  REQUIRE_MESSAGE(pushed.status == 0, pushed.out);
  BlobStore blobs(f.host, f.dir.path("pulled"));
  const auto ref = f.run(resolve(f.host, blobs, *parse_reference(name), {}));
  REQUIRE_MESSAGE(ref.has_value(), (ref ? "" : ref.error().context));
  const auto fetched = f.run(fetch(f.host, blobs, *ref, {}, nullptr));
  REQUIRE_MESSAGE(fetched.has_value(), (fetched ? "" : fetched.error().context));
  CHECK(fetched->config == image->config);
  CHECK(f.run(resolve(f.host, blobs, *parse_reference(registry.name() + "/team/no"), {}))
            .error()
            .code == Code::not_found);

  for (const int max_disks : {4, 16, 1}) {
    CAPTURE(max_disks);
    const auto from_archive = f.run(f.disks.disks_for(f.blobs, image->manifest, max_disks));
    REQUIRE_MESSAGE(from_archive.has_value(), (from_archive ? "" : from_archive.error().context));
    DiskCache cache(f.host, f.dir.path("disks2"));
    const auto disks = f.run(cache.disks_for(blobs, fetched->manifest, max_disks));
    REQUIRE_MESSAGE(disks.has_value(), (disks ? "" : disks.error().context));
    CHECK(disks->size() <= static_cast<std::size_t>(max_disks));
    for (const std::string& disk : *disks) CHECK(shell("fsck.erofs " + disk).status == 0);
    const Joined joined(f.dir, *disks);
    REQUIRE(joined.ok());
    CHECK(tree_of(joined.root()) == expected);
    // The same layers, differently compressed: the same disks to the last byte.
    for (std::size_t i = 0; i < disks->size(); ++i) {
      CHECK(shell("cmp " + (*disks)[i] + " " + (*from_archive)[i]).out == "");
    }
  }
}

TEST_CASE("a Dockerfile that fails is told by its step and its last words") {
  if (const std::string why = obstacle(); !why.empty()) {
    std::printf("skipped: %s\n", why.c_str());
    return;
  }
  Fixture f;
  f.dir.write("app/Dockerfile",
              "FROM scratch\nCOPY busybox /bin/busybox\n"
              "RUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo it broke; exit 3\"]\n");
  std::vector<std::string> lines;
  const std::string error = f.build(lines);
  CHECK_MESSAGE(error.find("\"STEP 3/3: RUN") != std::string::npos, error);
  CHECK(error.find("it broke") != std::string::npos);
  Build build{
      .context_directory = f.dir.path("absent"), .dockerfile = {}, .args = {}, .target = {}};
  const auto absent = f.run(build_dockerfile(f.host, build, f.dir.path("x"), nullptr));
  REQUIRE_FALSE(absent.has_value());
  CHECK(absent.error().code == Code::not_found);
}

}  // namespace
}  // namespace perigee::image
