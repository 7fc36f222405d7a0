// Layers that are broken, or made to exhaust what unpacks them: each ends with the layer's name,
// the cause, and a bound that held.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "image/convert.h"
#include "image/limits.h"
#include "image/tar_builder.h"
#include "image/temp_dir.h"
#include "image/test_image.h"
#include "image/tree.h"
#include "sys/fd.h"

namespace perigee::image {
namespace {

// Converts the blob FILE of `dir`, which is to unpack to `diff_id`, into `out`.
Result<Applied> convert(const TempDir& dir, const std::string& file, const std::string& diff_id,
                        const std::string& out) {
  const sys::Fd in(::open(dir.path(file).c_str(), O_RDONLY | O_CLOEXEC));
  const sys::Fd disk(::open(out.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE((in.valid() && disk.valid()));
  const LayerBlob layer{.fd = in.get(),
                        .size = std::filesystem::file_size(dir.path(file)),
                        .digest = "sha256:the-layer",
                        .diff_id = diff_id};
  return convert_layers({layer}, LayerRole::bottom, disk.get(), nullptr);
}

Error refusal(const TempDir& dir, const std::string& file, const std::string& diff_id) {
  const auto converted = convert(dir, file, diff_id, dir.path("disk"));
  REQUIRE_FALSE(converted.has_value());
  CHECK(converted.error().context.find("layer sha256:the-layer") != std::string::npos);
  return converted.error();
}

bool says(const Error& error, std::string_view words) {
  INFO(error.context);
  return error.context.find(words) != std::string::npos;
}

std::string noise(std::size_t size) {
  std::string out;
  for (int i = 0; out.size() < size; ++i) out += crypto::sha256_hex(std::to_string(i));
  return out;
}

TEST_CASE("a layer that is cut off or changed anywhere is refused, however it is compressed") {
  const TempDir dir;
  const std::string tar = TarBuilder().file("a", noise(300'000)).file("b", "b").end();
  dir.write("tar", tar);
  for (const char* tool : {"cat", "gzip", "zstd -q"}) {
    CAPTURE(tool);
    REQUIRE(shell(fmt::format("{} < {} > {}", tool, dir.path("tar"), dir.path("blob"))).status ==
            0);
    CHECK(convert(dir, "blob", digest_of(tar), dir.path("whole")).has_value());
    const std::string whole = dir.read("blob");
    for (const std::size_t size : {whole.size() / 2, whole.size() - 1600, whole.size() - 3}) {
      CAPTURE(size);
      dir.write("blob", whole.substr(0, size));
      CHECK(refusal(dir, "blob", digest_of(tar)).code == Code::data_loss);
    }
    for (const std::size_t at : {whole.size() / 3, whole.size() / 2}) {
      CAPTURE(at);
      std::string changed = whole;
      changed[at] ^= 0x10;
      dir.write("blob", changed);
      CHECK(refusal(dir, "blob", digest_of(tar)).code == Code::data_loss);
    }
  }
}

TEST_CASE("a decompression bomb ends at its limit") {
  const TempDir dir;
  const std::string bomb =
      fmt::format("head -c {} /dev/zero | zstd -q > {}", kFreeLayerBytes + kMiB, dir.path("bomb"));
  REQUIRE(shell(bomb).status == 0);
  CHECK(std::filesystem::file_size(dir.path("bomb")) < kMiB);
  const Error error = refusal(dir, "bomb", "sha256:never reached");
  CHECK(error.code == Code::unsupported);
  CHECK(says(error, "unpacks to more than 1024 MiB"));
}

TEST_CASE("holes do not make a disk larger than a disk may be") {
  const TempDir dir;
  TarBuilder tar;
  for (const char* name : {"a", "b"}) {
    tar.add({.name = name,
             .pax = {{"GNU.sparse.size", std::to_string(200 * kGiB)}, {"GNU.sparse.map", "0,0"}}});
  }
  dir.write("tar", tar.end());
  const Error error = refusal(dir, "tar", digest_of(tar.end()));
  CHECK(error.code == Code::unsupported);
  CHECK(says(error, "larger than 256 GiB"));
}

TEST_CASE("no space left for a disk is said as that") {
  const TempDir dir;
  const std::string tar = TarBuilder().file("a", std::string(3 * kMiB, 'a')).end();
  dir.write("tar", tar);
  const auto converted = convert(dir, "tar", digest_of(tar), "/dev/full");
  REQUIRE_FALSE(converted.has_value());
  CHECK(says(converted.error(), "layer sha256:the-layer"));
  CHECK(says(converted.error(), "No space left on device"));
}

TEST_CASE("names nested deeper than a disk may have them are refused, by way of a link too") {
  const TempDir dir;
  std::string path;
  for (unsigned i = 0; i + 2 < kMaxDepth; ++i) path += "d/";
  TarBuilder tar;
  tar.dir(path).add({.name = "link", .type = '2', .pax = {{"linkpath", path}}});
  tar.add({.name = "x", .data = "x", .pax = {{"path", "link/a/b/c/d/x"}}});
  dir.write("tar", tar.end());
  const Error error = refusal(dir, "tar", digest_of(tar.end()));
  CHECK(error.code == Code::unsupported);
  CHECK(says(error, "nested deeper than 2048"));
}

TEST_CASE("a tree has a bound for its files, and one for the bytes of their names") {
  Tree many;
  for (std::size_t i = many.size(); i < kMaxFiles; ++i) REQUIRE(many.add(Inode{}).has_value());
  const auto more = many.add(Inode{});
  REQUIRE_FALSE(more.has_value());
  CHECK(says(more.error(), "more than 1000000 files"));

  Tree named;
  const InodeId file = named.add(Inode{}).value();
  const std::string name(kMaxNameBytes, 'n');
  Result<void> linked;
  std::uint64_t bytes = 0;
  while (linked && bytes <= kMaxMetadataBytes) {
    linked = named.link(Tree::kRoot, name, {file, 0});
    bytes += name.size();
  }
  REQUIRE_FALSE(linked.has_value());
  CHECK(linked.error().code == Code::unsupported);
  CHECK(says(linked.error(), "take more than 256 MiB"));
}

}  // namespace
}  // namespace perigee::image
