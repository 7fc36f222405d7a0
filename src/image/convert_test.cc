// Layers to EROFS: the image passes fsck.erofs, and mounted by the kernel it holds what the layers
// say. Where this test may not mount (not root, no loop device) it says so and checks by fsck.
#include "image/convert.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "image/erofs_writer.h"
#include "image/limits.h"
#include "image/tar_builder.h"
#include "image/temp_dir.h"
#include "sys/fd.h"

namespace perigee::image {
namespace {

sys::Fd open_file(const std::string& path, int flags) {
  sys::Fd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  REQUIRE(fd.valid());
  return fd;
}

struct Converted {
  Result<Applied> applied;
  std::string path;
};

Converted convert(const TempDir& dir, const std::vector<std::string>& tars, LayerRole role,
                  const std::string& compress = "") {
  std::vector<sys::Fd> fds;
  std::vector<LayerBlob> layers;
  for (std::size_t i = 0; i < tars.size(); ++i) {
    const std::string name = fmt::format("layer{}.tar", i);
    dir.write(name, tars[i]);
    std::string path = dir.path(name);
    if (!compress.empty()) {
      REQUIRE(shell(fmt::format("{} < {} > {}.z", compress, path, path)).status == 0);
      path += ".z";
    }
    fds.push_back(open_file(path, O_RDONLY));
    layers.push_back({.fd = fds.back().get(),
                      .size = std::filesystem::file_size(path),
                      .digest = name,
                      .diff_id = "sha256:" + crypto::sha256_hex(tars[i])});
  }
  const std::string out = dir.path("disk.erofs");
  const sys::Fd fd = open_file(out, O_RDWR | O_CREAT | O_TRUNC);
  return {convert_layers(layers, role, fd.get(), nullptr), out};
}

void check_sound(const std::string& path) {
  const sys::Fd fd = open_file(path, O_RDONLY);
  CHECK(check_erofs(fd.get()).has_value());
  const Shell fsck = shell("fsck.erofs --extract " + path);
  CHECK_MESSAGE(fsck.status == 0, fsck.out);
}

class Mounted {
 public:
  Mounted(const TempDir& dir, const std::string& image) : at_(dir.path("mnt")) {
    std::filesystem::create_directory(at_);
    const Shell mount = shell("mount -t erofs -o ro,loop " + image + " " + at_);
    ok_ = mount.status == 0;
    if (!ok_) std::printf("skipped: no mount of EROFS here: %s", mount.out.c_str());
  }
  ~Mounted() {
    if (ok_) shell("umount " + at_);
  }
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;
  explicit operator bool() const { return ok_; }
  const std::string& at() const { return at_; }
  // Every path with type, mode, owner, links (of directories not: overlayfs says 1), mtime, target.
  static std::string listing(const std::string& root) {
    return shell("cd " + root +
                 " && find . -printf '%p %y %m %U %G %n %T@ %l\\n' | "
                 "sed -E 's/^(.* d [0-9]+ [0-9]+ [0-9]+) [0-9]+/\\1/' | LC_ALL=C sort")
        .out;
  }
  std::string listing() const { return listing(at_); }

 private:
  std::string at_;
  bool ok_ = false;
};

TEST_CASE("a layer of every kind of file is a disk that the kernel reads the same") {
  const TempDir dir;
  const std::string odd("caf\xff e\xcc\x81");
  const std::string big(3 * kMiB + 17, 'b');
  const std::string tar =
      TarBuilder()
          .dir("./")
          .dir("bin/", 0755)
          .add({.name = "bin/su", .data = "suid", .mode = 04755, .uid = 1, .gid = 2, .mtime = 5})
          .add({.name = "bin/link", .type = '1', .link = "./bin/su"})
          .add({.name = "empty"})
          .file("big", big)
          .add({.name = "sym", .type = '2', .link = "bin/su", .mode = 0777})
          .add({.name = "long",
                .type = '2',
                .mode = 0777,
                .pax = {{"linkpath", std::string(4090, 't')}}})
          .add({.name = "null", .type = '3', .mode = 0666, .major = 1, .minor = 300})
          .add({.name = "disk", .type = '4', .mode = 0660, .major = 259, .minor = 7})
          .add({.name = "pipe", .type = '6'})
          .add({.name = odd, .data = "odd"})
          .dir("tmp/", 01777)
          .add({.name = "cap",
                .data = "c",
                .pax = {{"SCHILY.xattr.user.note", "hello"},
                        {"SCHILY.xattr.user.big", std::string(9000, 'v')},
                        {"SCHILY.xattr.trusted.overlay.redirect", "/etc"},
                        {"mtime", "1700000000.123456789"}}})
          .end();
  const Converted converted = convert(dir, {tar}, LayerRole::bottom);
  REQUIRE_MESSAGE(converted.applied.has_value(),
                  (converted.applied ? "" : converted.applied.error().context));
  check_sound(converted.path);
  const Mounted mounted(dir, converted.path);
  if (!mounted) return;
  const std::string listing = mounted.listing();
  CHECK_MESSAGE(listing.find("./bin/su f 4755 1 2 2 5.0000000000 \n") != listing.npos, listing);
  CHECK(listing.find("./bin/link f 4755 1 2 2 ") != listing.npos);
  CHECK(listing.find("./sym l 777 0 0 1 1700000000.0000000000 bin/su\n") != listing.npos);
  CHECK(listing.find("./tmp d 1777 ") != listing.npos);
  CHECK(listing.find("./pipe p 644 ") != listing.npos);
  CHECK(listing.find("./cap f 644 0 0 1 1700000000.1234567890 ") != listing.npos);
  CHECK(shell("stat -c %h " + mounted.at()).out == "4\n");
  CHECK(std::filesystem::exists(mounted.at() + "/" + odd));
  CHECK(std::filesystem::read_symlink(mounted.at() + "/long").string() == std::string(4090, 't'));
  CHECK(shell("stat -c '%t %T' " + mounted.at() + "/null").out == "1 12c\n");
  CHECK(shell("stat -c '%t %T' " + mounted.at() + "/disk").out == "103 7\n");
  CHECK(shell("sha256sum < " + mounted.at() + "/big").out.substr(0, 64) == crypto::sha256_hex(big));
  const std::string xattrs = shell(
                                 "python3 -c 'import os,sys; p=sys.argv[1]; "
                                 "print(os.listxattr(p), os.getxattr(p,\"user.note\"), "
                                 "len(os.getxattr(p,\"user.big\")))' " +
                                 mounted.at() + "/cap")
                                 .out;
  CHECK(xattrs == "['user.big', 'user.note'] b'hello' 9000\n");
}

TEST_CASE("whiteouts of an overlay layer are overlayfs's own") {
  const TempDir dir;
  const std::string tar = TarBuilder()
                              .dir("a/")
                              .file("a/.wh..wh..opq", "")
                              .file("a/new", "1")
                              .file(".wh.gone", "")
                              .file(".wh.kept", "")
                              .file("kept", "here")
                              .file(".wh.fresh", "")
                              .dir("fresh/")
                              .file("anew", "hides a directory below")
                              .dir("anew/")
                              .file(".wh..wh.plnk/x", "")
                              .end();
  const Converted converted = convert(dir, {tar}, LayerRole::overlay);
  REQUIRE(converted.applied.has_value());
  check_sound(converted.path);
  const Mounted mounted(dir, converted.path);
  if (!mounted) return;
  const std::string listing = mounted.listing();
  CHECK(listing.find(".wh.") == listing.npos);
  CHECK(shell("stat -c '%F %t %T' " + mounted.at() + "/gone").out ==
        "character special file 0 0\n");
  CHECK(listing.find("./kept f ") != listing.npos);
  for (const char* name : {"a", "fresh", "anew"}) {
    const std::string command = fmt::format(
        "python3 -c 'import os; print(os.getxattr(\"{}/{}\", \"trusted.overlay.opaque\"))'",
        mounted.at(), name);
    CHECK(shell(command).out == "b'y'\n");
  }
}

TEST_CASE("the kernel's overlayfs joins separate layers to what merging gives") {
  const TempDir dir;
  const std::string base = TarBuilder()
                               .dir("d/", 0700)
                               .file("d/old", "old")
                               .dir("d/sub/")
                               .file("d/sub/x", "x")
                               .dir("opq/")
                               .file("opq/hidden", "h")
                               .file("f", "file")
                               .dir("dir/")
                               .file("dir/inner", "i")
                               .add({.name = "s", .type = '2', .link = "d", .mode = 0777})
                               .end();
  const std::string top = TarBuilder()
                              .dir("d/", 0711)
                              .file("d/.wh.old", "")
                              .file("d/new", "new")
                              .dir("opq/")
                              .file("opq/.wh..wh..opq", "")
                              .file("opq/seen", "s")
                              .add({.name = "f", .type = '5', .mode = 0755})
                              .file("f/in", "in")
                              .file("dir", "now a file")
                              .end();
  REQUIRE(convert(dir, {base, top}, LayerRole::bottom).applied.has_value());
  std::filesystem::rename(dir.path("disk.erofs"), dir.path("merged.erofs"));
  REQUIRE(convert(dir, {base}, LayerRole::bottom).applied.has_value());
  std::filesystem::rename(dir.path("disk.erofs"), dir.path("base.erofs"));
  REQUIRE(convert(dir, {top}, LayerRole::overlay).applied.has_value());
  check_sound(dir.path("merged.erofs"));
  const std::string script = fmt::format(
      "set -e; cd {}; mkdir m b t o; mount -t erofs -o ro,loop merged.erofs m; "
      "mount -t erofs -o ro,loop base.erofs b; mount -t erofs -o ro,loop disk.erofs t; "
      "mount -t overlay -o ro,lowerdir=t:b overlay o",
      dir.path());
  const Shell mounted = shell("bash -c '" + script + "'");
  if (mounted.status == 0) {
    CHECK(Mounted::listing(dir.path("o")) == Mounted::listing(dir.path("m")));
    CHECK(shell(fmt::format("diff -r --no-dereference {} {}", dir.path("o"), dir.path("m"))).out ==
          "");
    CHECK(Mounted::listing(dir.path("m")).find("./d/old") == std::string::npos);
    CHECK(Mounted::listing(dir.path("m")).find("hidden") == std::string::npos);
  } else {
    std::printf("skipped: no overlay mounts here: %s", mounted.out.c_str());
  }
  shell(fmt::format("cd {}; umount o t b m", dir.path()));
}

TEST_CASE("a real tree is the same as tar extracts it") {
  const TempDir dir;
  const Shell made = shell(fmt::format(
      "tar --format=pax --xattrs -C / -cf {0} etc usr/sbin usr/share/perl5 usr/share/zoneinfo; "
      "mkdir {1}; tar --xattrs -xpf {0} -C {1}",
      dir.path("src.tar"), dir.path("ref")));
  const std::string tar = dir.read("src.tar");
  REQUIRE(tar.size() > kMiB);
  const Converted converted = convert(dir, {tar}, LayerRole::bottom, "gzip -1");
  REQUIRE(converted.applied.has_value());
  check_sound(converted.path);
  const Mounted mounted(dir, converted.path);
  if (!mounted) return;
  // Directories that tar was not told of (the root, usr) are implied: their times are not compared.
  const std::string strip = " | grep -vE '^(\\.|\\./usr|\\./usr/share) d '";
  const auto listing = [&](const std::string& root) {
    return shell("cd " + root + " && find . -printf '%p %y %m %U %G %n %T@ %l\\n' | LC_ALL=C sort" +
                 strip)
        .out;
  };
  CHECK(listing(mounted.at()) == listing(dir.path("ref")));
  const Shell diff = shell("diff -r --no-dereference " + mounted.at() + " " + dir.path("ref"));
  CHECK_MESSAGE(diff.out.empty(), diff.out.substr(0, 2000));
}

TEST_CASE("directories of many long names fill blocks that the kernel can search") {
  const TempDir dir;
  TarBuilder builder;
  builder.dir("many/");
  for (int i = 0; i < 3000; ++i) {
    builder.file(fmt::format("many/{:04}{}", (i * 7919) % 3000,
                             std::string(static_cast<std::size_t>(i) % 80, 'n')),
                 "");
  }
  builder.dir("!before-dots/").file("!before-dots/!", "");
  const Converted converted = convert(dir, {builder.end()}, LayerRole::bottom, "zstd -q");
  REQUIRE(converted.applied.has_value());
  check_sound(converted.path);
  const Mounted mounted(dir, converted.path);
  if (!mounted) return;
  CHECK(shell("ls " + mounted.at() + "/many | wc -l").out == "3000\n");
  // Each found by name, not only by listing.
  CHECK(shell("cd " + mounted.at() + "/many && ls | xargs stat -c %n | wc -l").out == "3000\n");
  CHECK(std::filesystem::exists(mounted.at() + "/!before-dots/!"));
}

TEST_CASE("a sparse file stays sparse, and removed files give their blocks back") {
  const TempDir dir;
  const std::string base =
      TarBuilder()
          .add({.name = "sparse",
                .data = "end",
                .pax = {{"GNU.sparse.size", "1073741827"}, {"GNU.sparse.map", "1073741824,3"}}})
          .file("removed", std::string(8 * kMiB, 'r'))
          .end();
  const Converted converted =
      convert(dir, {base, TarBuilder().file(".wh.removed", "").end()}, LayerRole::bottom);
  REQUIRE(converted.applied.has_value());
  struct stat info{};
  REQUIRE(::stat(converted.path.c_str(), &info) == 0);
  CHECK(static_cast<std::uint64_t>(info.st_size) > kGiB);
  CHECK(static_cast<std::uint64_t>(info.st_blocks) * 512 < kMiB);
  const Mounted mounted(dir, converted.path);
  if (!mounted) return;
  CHECK(shell("tail -c 4 " + mounted.at() + "/sparse | od -An -c").out.find("\\0   e   n   d") !=
        std::string::npos);
}

std::string failure(const std::vector<std::string>& tars, LayerRole role = LayerRole::bottom) {
  const TempDir dir;
  const Converted converted = convert(dir, tars, role);
  REQUIRE_FALSE(converted.applied.has_value());
  return converted.applied.error().context;
}

TEST_CASE("layers that try to leave the image, or make no sense, are refused with the path") {
  CHECK(failure({TarBuilder().file("../evil", "x").end()}).find("\"../evil\"") !=
        std::string::npos);
  CHECK(failure({TarBuilder().file("a/../../evil", "x").end()}).find("leaves the image") !=
        std::string::npos);
  CHECK(failure({TarBuilder().add({.name = "l", .type = '1', .link = "/etc/../../shadow"}).end()})
            .find("leaves the image") != std::string::npos);
  CHECK(failure({TarBuilder().add({.name = "l", .type = '1', .link = "nowhere"}).end()})
            .find("not there") != std::string::npos);
  CHECK(failure({TarBuilder().file(".wh..", "").end()}).find("whiteout of nothing") !=
        std::string::npos);
  CHECK(
      failure({TarBuilder().file("f", "").file("f/below", "").end()}).find("used as a directory") !=
      std::string::npos);
  CHECK(failure({TarBuilder()
                     .add({.name = "x", .type = '2', .link = "y"})
                     .add({.name = "y", .type = '2', .link = "x"})
                     .file("x/a", "")
                     .end()})
            .find("circle") != std::string::npos);
  CHECK(failure({TarBuilder().add({.name = "n", .pax = {{"path", std::string(256, 'n')}}}).end()})
            .find("longer than 255") != std::string::npos);
  CHECK(failure({TarBuilder().add({.name = ".", .type = '2', .link = "/"}).end()}).find("root") !=
        std::string::npos);
}

TEST_CASE("symbolic links in a path are followed inside the image only") {
  const TempDir dir;
  const std::string tar = TarBuilder()
                              .dir("usr/")
                              .dir("usr/bin/")
                              .add({.name = "bin", .type = '2', .link = "usr/bin"})
                              .add({.name = "up", .type = '2', .link = "../../.."})
                              .file("bin/tool", "t")
                              .file("up/top", "t")
                              .end();
  const Converted converted = convert(dir, {tar}, LayerRole::bottom);
  REQUIRE(converted.applied.has_value());
  const Mounted mounted(dir, converted.path);
  if (!mounted) return;
  CHECK(std::filesystem::exists(mounted.at() + "/usr/bin/tool"));
  CHECK(std::filesystem::exists(mounted.at() + "/top"));
}

TEST_CASE("an overlay layer that leans on lower ones says so") {
  const TempDir dir;
  const std::string base = TarBuilder().dir("app/").file("app/bin", "b").end();
  const std::string link = TarBuilder().add({.name = "copy", .type = '1', .link = "app/bin"}).end();
  const std::string parent = TarBuilder().file("app/new", "n").end();
  const std::string all = TarBuilder().file(".wh..wh..opq", "").file("new", "n").end();
  for (const std::string& tar : {link, parent, all}) {
    const Converted alone = convert(dir, {tar}, LayerRole::overlay);
    REQUIRE(alone.applied.has_value());
    CHECK(*alone.applied == Applied::needs_lower);
    CHECK(convert(dir, {base, tar}, LayerRole::bottom).applied == Applied::whole);
  }
}

TEST_CASE("a layer that was changed on its way is refused") {
  const TempDir dir;
  const std::string tar = TarBuilder().file("a", std::string(200'000, 'a')).end();
  dir.write("l.tar", tar);
  REQUIRE(shell("gzip -k " + dir.path("l.tar")).status == 0);
  const std::string whole = dir.read("l.tar.gz");
  const std::string diff_id = "sha256:" + crypto::sha256_hex(tar);
  const auto run = [&](const std::string& bytes, const std::string& id) {
    dir.write("x.gz", bytes);
    const sys::Fd in = open_file(dir.path("x.gz"), O_RDONLY);
    const sys::Fd out = open_file(dir.path("out"), O_RDWR | O_CREAT | O_TRUNC);
    return convert_layers(
        {{.fd = in.get(), .size = bytes.size(), .digest = "sha256:xx", .diff_id = id}},
        LayerRole::bottom, out.get(), nullptr);
  };
  CHECK(run(whole, diff_id).has_value());
  const auto truncated = run(whole.substr(0, whole.size() / 2), diff_id);
  REQUIRE_FALSE(truncated.has_value());
  CHECK_MESSAGE(truncated.error().context.find("corrupt or truncated") != std::string::npos,
                truncated.error().context);
  const auto other = run(whole, "sha256:" + std::string(64, '0'));
  REQUIRE_FALSE(other.has_value());
  CHECK(other.error().context.find("configuration says") != std::string::npos);
  CHECK(other.error().code == Code::data_loss);
}

TEST_CASE("cancelled work stops with an error") {
  const TempDir dir;
  dir.write("l.tar", TarBuilder().file("a", "b").end());
  const sys::Fd in = open_file(dir.path("l.tar"), O_RDONLY);
  const sys::Fd out = open_file(dir.path("out"), O_RDWR | O_CREAT | O_TRUNC);
  const CancelFlag cancel = make_cancel_flag();
  *cancel = true;
  const auto result = convert_layers({{.fd = in.get(), .size = 1, .digest = "d", .diff_id = "x"}},
                                     LayerRole::bottom, out.get(), cancel);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == Code::cancelled);
}

}  // namespace
}  // namespace perigee::image
