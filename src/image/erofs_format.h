// EROFS on disk, the part that Perigee writes: uncompressed, 4 KiB blocks, extended inodes, inline
// attributes, little-endian. docs/formats/erofs.md describes the whole; the source is the Linux
// kernel's documentation (Documentation/filesystems/erofs.rst) and its on-disk layout.
// Private to the image module.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace perigee::image::erofs {

static_assert(std::endian::native == std::endian::little, "structs are written as they are");

inline constexpr std::uint32_t kBlock = 4096;
inline constexpr std::uint32_t kBlockBits = 12;
inline constexpr std::uint32_t kMagic = 0xE0F5E1E2;
inline constexpr std::uint64_t kSuperOffset = 1024;
inline constexpr std::uint32_t kFeatureChecksum = 0x1;
inline constexpr std::uint32_t kFeatureMtime = 0x2;
inline constexpr std::uint32_t kSlot = 32;  // an inode's number is its offset in these

struct Super {
  std::uint32_t magic = kMagic;
  std::uint32_t checksum = 0;  // CRC-32C of the rest of its block, this being 0
  std::uint32_t feature_compat = kFeatureChecksum | kFeatureMtime;
  std::uint8_t block_bits = kBlockBits;
  std::uint8_t extension_slots = 0;
  std::uint16_t root_nid = 0;
  std::uint64_t inodes = 0;
  std::uint64_t build_time = 0;
  std::uint32_t build_time_ns = 0;
  std::uint32_t blocks = 0;
  std::uint32_t meta_block = 0;   // where inode numbers count from
  std::uint32_t xattr_block = 0;  // shared attributes: none
  std::uint8_t uuid[16] = {};
  std::uint8_t volume_name[16] = {};
  std::uint32_t feature_incompat = 0;
  std::uint8_t reserved[44] = {};
};
static_assert(sizeof(Super) == 128);

enum class Layout : std::uint16_t {
  plain = 0,    // all data in blocks from raw_block on
  in_line = 2,  // the data after the last whole block follows the inode, in its block
};

struct InodeRecord {
  std::uint16_t format = 0;       // 1 (extended) | layout << 1
  std::uint16_t xattr_count = 0;  // 0, or 1 + (bytes of attributes - 12) / 4
  std::uint16_t mode = 0;
  std::uint16_t reserved = 0;
  std::uint64_t size = 0;
  std::uint32_t raw_block_or_device = 0;
  std::uint32_t number = 0;  // for 32-bit stat only
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t mtime = 0;
  std::uint32_t mtime_ns = 0;
  std::uint32_t links = 0;
  std::uint8_t reserved2[16] = {};
};
static_assert(sizeof(InodeRecord) == 64);

inline constexpr std::uint32_t kXattrHeader = 12;
struct XattrRecord {
  std::uint8_t name_size = 0;
  std::uint8_t name_index = 0;
  std::uint16_t value_size = 0;
};
static_assert(sizeof(XattrRecord) == 4);

struct [[gnu::packed]] DirentRecord {
  std::uint64_t nid = 0;
  std::uint16_t name_offset = 0;
  std::uint8_t file_type = 0;
  std::uint8_t reserved = 0;
};
static_assert(sizeof(DirentRecord) == 12);

template <typename Record>
std::string_view bytes_of(const Record& record) {
  return {reinterpret_cast<const char*>(&record), sizeof(Record)};
}

// CRC-32C (Castagnoli) from `seed`, not inverted at the end, as EROFS has it.
std::uint32_t crc32c(std::uint32_t seed, std::string_view data);

}  // namespace perigee::image::erofs
