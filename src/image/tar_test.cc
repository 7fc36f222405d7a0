// The tar reader: formats, and archives that lie.
#include "image/tar.h"

#include <doctest/doctest.h>

#include "image/limits.h"
#include "image/tar_builder.h"
#include "image/tar_header.h"

namespace perigee::image {
namespace {

struct Read {
  TarEntry entry;
  std::string data;  // holes as zeros
};

Result<std::vector<Read>> read_all(std::string_view tar, std::size_t step) {
  MemorySource source(tar, step);
  TarReader reader(source);
  std::vector<Read> out;
  for (;;) {
    TRY(auto entry, reader.next());
    if (!entry) break;
    Read read{.entry = std::move(*entry), .data = {}};
    read.data.resize(read.entry.kind == TarKind::file ? read.entry.size : 0, '\0');
    for (;;) {
      TRY(const auto piece, reader.piece());
      if (!piece) break;
      read.data.replace(piece->offset, piece->data.size(), piece->data);
    }
    out.push_back(std::move(read));
  }
  TRY_VOID(reader.drain());
  return out;
}

// As read_all, in chunks of several sizes that must all give the same.
std::vector<Read> must_read(std::string_view tar) {
  auto whole = read_all(tar, tar.size() + 1);
  REQUIRE_MESSAGE(whole.has_value(), (whole ? "" : whole.error().context));
  for (const std::size_t step : {1UL, 7UL, 512UL, 513UL}) {
    const auto pieces = read_all(tar, step);
    REQUIRE(pieces.has_value());
    REQUIRE(pieces->size() == whole->size());
    for (std::size_t i = 0; i < whole->size(); ++i) {
      CHECK((*pieces)[i].entry.path == (*whole)[i].entry.path);
      CHECK((*pieces)[i].data == (*whole)[i].data);
    }
  }
  return *whole;
}

std::string error_of(std::string_view tar) {
  const auto result = read_all(tar, 512);
  REQUIRE_FALSE(result.has_value());
  return result.error().context;
}

TEST_CASE("files, directories, links and devices are read with their attributes") {
  const std::string big(3000, 'x');
  const auto all =
      must_read(TarBuilder()
                    .dir("etc/", 0750)
                    .add({.name = "etc/a", .data = big, .mode = 04711, .uid = 7, .gid = 8})
                    .add({.name = "b", .type = '1', .link = "etc/a"})
                    .add({.name = "c", .type = '2', .link = "../x"})
                    .add({.name = "null", .type = '3', .major = 1, .minor = 3})
                    .add({.name = "pipe", .type = '6'})
                    .end());
  REQUIRE(all.size() == 6);
  CHECK(all[0].entry.kind == TarKind::directory);
  CHECK(all[0].entry.mode == 0750);
  CHECK(all[1].data == big);
  CHECK(all[1].entry.mode == 04711);
  CHECK(all[1].entry.uid == 7);
  CHECK(all[1].entry.gid == 8);
  CHECK(all[1].entry.mtime_s == 1'700'000'000);
  CHECK(all[2].entry.kind == TarKind::hard_link);
  CHECK(all[2].entry.link == "etc/a");
  CHECK(all[3].entry.link == "../x");
  CHECK(all[4].entry.device_minor == 3);
  CHECK(all[5].entry.kind == TarKind::fifo);
}

TEST_CASE("pax records override the header: any bytes in names, sub-second times, attributes") {
  const std::string name = std::string(300, 'n') + "\xff\x01 e\xcc\x81";  // not UTF-8, then NFD
  const auto all = must_read(TarBuilder()
                                 .add({.name = "short",
                                       .data = "hi",
                                       .pax = {{"path", name},
                                               {"mtime", "-1.25"},
                                               {"uid", "4000000000"},
                                               {"SCHILY.xattr.user.a", std::string("\0=\n", 3)},
                                               {"SCHILY.xattr.user.a", "later"},
                                               {"comment", "ignored"}}})
                                 .file("next", "there")
                                 .end());
  REQUIRE(all.size() == 2);
  CHECK(all[0].entry.path == name);
  CHECK(all[0].entry.mtime_s == -2);
  CHECK(all[0].entry.mtime_ns == 750'000'000);
  CHECK(all[0].entry.uid == 4'000'000'000U);
  REQUIRE(all[0].entry.xattrs.size() == 1);
  CHECK(all[0].entry.xattrs[0].second == "later");
  CHECK(all[0].data == "hi");
  CHECK(all[1].entry.path == "next");  // records are of one entry only
  CHECK(all[1].entry.xattrs.empty());
}

TEST_CASE("global pax records hold for every entry") {
  const std::string records = TarBuilder::pax_record("gid", "42");
  const auto all = must_read(TarBuilder()
                                 .add({.name = "g", .type = 'g', .data = records})
                                 .file("a", "")
                                 .file("b", "")
                                 .end());
  REQUIRE(all.size() == 2);
  CHECK(all[0].entry.gid == 42);
  CHECK(all[1].entry.gid == 42);
}

TEST_CASE("an empty pax record takes an earlier one back, a global one too") {
  const auto all =
      must_read(TarBuilder()
                    .add({.name = "g", .type = 'g', .data = TarBuilder::pax_record("gid", "42")})
                    .add({.name = "kept",
                          .uid = 7,
                          .gid = 8,
                          .mtime = 9,
                          .pax = {{"path", "other"},
                                  {"uid", "5"},
                                  {"mtime", "1.5"},
                                  {"path", ""},
                                  {"uid", ""},
                                  {"gid", ""},
                                  {"mtime", ""}}})
                    .end());
  REQUIRE(all.size() == 1);
  CHECK(all[0].entry.path == "kept");
  CHECK(all[0].entry.uid == 7);
  CHECK(all[0].entry.gid == 8);
  CHECK(all[0].entry.mtime_s == 9);
  CHECK(all[0].entry.mtime_ns == 0);
}

TEST_CASE("GNU long names, base-256 numbers and ustar prefixes are read") {
  const std::string name(500, 'l');
  auto wide = TarBuilder::block_of({.name = "wide"});
  wide[108] = static_cast<char>(0x80);  // uid in base 256
  std::memset(wide.data() + 109, 0, 7);
  wide[112] = 1;  // 0x01000000
  TarBuilder::seal(wide);
  auto prefixed = TarBuilder::block_of({.name = "leaf"});
  TarBuilder::put(prefixed, 345, "some/prefix");
  TarBuilder::seal(prefixed);
  const auto all = must_read(
      TarBuilder()
          .add({.name = "././@LongLink", .type = 'L', .data = name + '\0'})
          .add({.name = "././@LongLink", .type = 'K', .data = "far" + std::string(1, '\0')})
          .add({.name = "cut", .type = '2', .link = "cut"})
          .raw({wide.data(), wide.size()})
          .raw({prefixed.data(), prefixed.size()})
          .end());
  REQUIRE(all.size() == 3);
  CHECK(all[0].entry.path == name);
  CHECK(all[0].entry.link == "far");
  CHECK(all[1].entry.uid == 0x01000000);
  CHECK(all[2].entry.path == "some/prefix/leaf");
}

TEST_CASE("sparse files of all three pax formats and GNU's own have their holes") {
  const std::string expected = std::string(4096, '\0') + "abcd" + std::string(4096, '\0') + "ef";
  const std::string size = std::to_string(expected.size());
  const TarSpec v00{.name = "x",
                    .data = "abcdef",
                    .pax = {{"GNU.sparse.size", size},
                            {"GNU.sparse.offset", "4096"},
                            {"GNU.sparse.numbytes", "4"},
                            {"GNU.sparse.offset", "8196"},
                            {"GNU.sparse.numbytes", "2"}}};
  const TarSpec v01{.name = "x",
                    .data = "abcdef",
                    .pax = {{"GNU.sparse.size", size},
                            {"GNU.sparse.name", "real"},
                            {"GNU.sparse.map", "4096,4,8196,2"}}};
  std::string map = "2\n4096\n4\n8196\n2\n";
  map.resize(512, '\0');
  const TarSpec v10{.name = "x",
                    .data = map + "abcdef",
                    .pax = {{"GNU.sparse.major", "1"},
                            {"GNU.sparse.minor", "0"},
                            {"GNU.sparse.name", "real"},
                            {"GNU.sparse.realsize", size}}};
  auto old = TarBuilder::block_of({.name = "x", .type = 'S', .data = "abcdef"});
  TarBuilder::put(old, 257, std::string_view("ustar  \0", 8));
  TarBuilder::put(old, 386, "00000010000");
  TarBuilder::put(old, 398, "00000000004");
  TarBuilder::put(old, 410, fmt::format("{:011o}", 8196));
  TarBuilder::put(old, 422, "00000000002");
  TarBuilder::put(old, 483, fmt::format("{:011o}", expected.size()));
  TarBuilder::seal(old);
  std::string old_data = "abcdef";
  old_data.resize(512, '\0');
  const auto all = must_read(
      TarBuilder().add(v00).add(v01).add(v10).raw({old.data(), old.size()}).raw(old_data).end());
  REQUIRE(all.size() == 4);
  for (const Read& read : all) {
    CHECK(read.entry.sparse);
    CHECK(read.data == expected);
  }
  CHECK(all[1].entry.path == "real");
  CHECK(all[2].entry.path == "real");
}

TEST_CASE("an archive without its end blocks, and an empty one, are read") {
  CHECK(must_read(TarBuilder().file("a", "b").bytes()).size() == 1);
  CHECK(must_read("").empty());
  CHECK(must_read(std::string(10240, '\0')).empty());
}

TEST_CASE("archives that lie are refused with the reason") {
  const std::string good = TarBuilder().file("a", std::string(1000, 'a')).end();
  CHECK(error_of(good.substr(0, 700)).find("middle of an entry") != std::string::npos);
  CHECK(error_of(good.substr(0, 300)).find("middle of an entry") != std::string::npos);
  std::string flipped = good;
  flipped[3] ^= 1;
  CHECK(error_of(flipped).find("checksum") != std::string::npos);
  CHECK(error_of("this is no tar" + std::string(1000, '!')).find("checksum") != std::string::npos);
  CHECK(error_of(TarBuilder().add({.name = "z", .type = 'Z'}).end()).find("type 0x5a") !=
        std::string::npos);
  CHECK(error_of(TarBuilder().add({.name = "p", .pax = {{"size", "99999999999999"}}}).end())
            .find("larger than") != std::string::npos);
  CHECK(error_of(TarBuilder().add({.name = "x", .type = 'x', .data = "999 path=a\n"}).end())
            .find("malformed") != std::string::npos);
  CHECK(error_of(TarBuilder()
                     .add({.name = "x", .type = 'x', .data = std::string(2 * kMaxPaxBytes, 'a')})
                     .end())
            .find("too large") != std::string::npos);
  CHECK(error_of(TarBuilder()
                     .add({.name = "s",
                           .data = "abc",
                           .pax = {{"GNU.sparse.size", "10"}, {"GNU.sparse.map", "9,3"}}})
                     .end())
            .find("sparse") != std::string::npos);
  CHECK(error_of(TarBuilder()
                     .add({.name = "s", .pax = {{"SCHILY.xattr.user.a", std::string(70'000, 'v')}}})
                     .end())
            .find("extended attributes") != std::string::npos);
}

TEST_CASE("numbers of a header are octal text or base 256, and nothing else") {
  CHECK(parse_tar_number(std::string("0000644\0", 8)).value() == 0644);
  CHECK(parse_tar_number("   644  ").value() == 0644);
  CHECK(parse_tar_number(std::string(8, '\0')).value() == 0);
  CHECK(parse_tar_number("\xff\xff\xff\xff\xff\xff\xff\xfe").value() == -2);
  CHECK_FALSE(parse_tar_number("0000648 ").has_value());
  CHECK_FALSE(parse_tar_number("-1      ").has_value());
  CHECK_FALSE(parse_tar_number("\x80\x01" + std::string(10, '\xff')).has_value());
}

}  // namespace
}  // namespace perigee::image
