// The records of an EROFS image as bytes: directories, attributes, inodes, checksum.
#include "image/erofs_record.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>

namespace perigee::image::erofs {
namespace {

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    table[i] = crc;
  }
  return table;
}

struct Prefix {
  std::string_view text;
  std::uint8_t index;
};
constexpr std::array kPrefixes = {Prefix{"user.", 1}, Prefix{"system.posix_acl_access", 2},
                                  Prefix{"system.posix_acl_default", 3}, Prefix{"trusted.", 4},
                                  Prefix{"security.", 6}};

void append_xattr(std::string_view name, std::string_view value, std::string& out) {
  const auto prefix =
      std::ranges::find_if(kPrefixes, [name](const Prefix& p) { return name.starts_with(p.text); });
  if (prefix == kPrefixes.end()) return;
  name.remove_prefix(prefix->text.size());
  const XattrRecord record{static_cast<std::uint8_t>(name.size()), prefix->index,
                           static_cast<std::uint16_t>(value.size())};
  out += bytes_of(record);
  out += name;
  out += value;
  out.resize((out.size() + 3) / 4 * 4, '\0');
}

// Bytes that `names` names of `name_bytes` in all take in a directory block.
std::size_t block_use(std::size_t names, std::size_t name_bytes) {
  return names * sizeof(DirentRecord) + name_bytes;
}

std::uint16_t type_bits(FileKind kind) {
  switch (kind) {
    case FileKind::file:
      return S_IFREG;
    case FileKind::directory:
      return S_IFDIR;
    case FileKind::symlink:
      return S_IFLNK;
    case FileKind::character:
      return S_IFCHR;
    case FileKind::block:
      return S_IFBLK;
    case FileKind::fifo:
      return S_IFIFO;
  }
  std::unreachable();
}

// The kernel's "new" encoding of a device number.
std::uint32_t encode_device(std::uint32_t major, std::uint32_t minor) {
  return (minor & 0xff) | (major << 8) | ((minor & ~0xffU) << 12);
}

}  // namespace

std::uint32_t crc32c(std::uint32_t seed, std::string_view data) {
  static constexpr auto kTable = crc_table();
  for (const char c : data)
    seed = (seed >> 8) ^ kTable[(seed ^ static_cast<unsigned char>(c)) & 0xff];
  return seed;
}

std::uint8_t file_type(FileKind kind) {
  switch (kind) {
    case FileKind::file:
      return 1;
    case FileKind::directory:
      return 2;
    case FileKind::character:
      return 3;
    case FileKind::block:
      return 4;
    case FileKind::fifo:
      return 5;
    case FileKind::symlink:
      return 7;
  }
  std::unreachable();
}

std::vector<DirectoryEntry> entries_of(const Tree& tree, InodeId id) {
  const InodeExtra& extra = *tree.at(id).extra;
  std::vector<DirectoryEntry> entries;
  entries.reserve(extra.children.size() + 2);
  entries.push_back({".", id});
  entries.push_back({"..", extra.parent});
  for (const auto& [name, child] : extra.children) entries.push_back({name, child.id});
  std::ranges::sort(entries, {}, &DirectoryEntry::name);  // "." is not always first
  return entries;
}

std::vector<std::size_t> directory_blocks(std::span<const DirectoryEntry> entries) {
  std::vector<std::size_t> counts;
  std::size_t names = 0;
  std::size_t name_bytes = 0;
  for (const DirectoryEntry& entry : entries) {
    if (block_use(names + 1, name_bytes + entry.name.size()) > kBlock) {
      counts.push_back(std::exchange(names, 0));
      name_bytes = 0;
    }
    ++names;
    name_bytes += entry.name.size();
  }
  counts.push_back(names);
  return counts;
}

std::uint64_t directory_size(const Tree& tree, InodeId id) {
  const auto entries = entries_of(tree, id);
  const auto counts = directory_blocks(entries);
  std::size_t last_bytes = 0;
  for (const DirectoryEntry& entry : std::span(entries).last(counts.back())) {
    last_bytes += entry.name.size();
  }
  return (counts.size() - 1) * std::uint64_t{kBlock} + block_use(counts.back(), last_bytes);
}

std::string directory_content(const Tree& tree, InodeId id, std::span<const std::uint64_t> nids) {
  const auto entries = entries_of(tree, id);
  std::span<const DirectoryEntry> rest(entries);
  std::string out;
  for (const std::size_t count : directory_blocks(entries)) {
    out.resize((out.size() + kBlock - 1) / kBlock * kBlock, '\0');
    std::size_t offset = count * sizeof(DirentRecord);
    for (const DirectoryEntry& entry : rest.first(count)) {
      out += bytes_of(DirentRecord{nids[entry.id], static_cast<std::uint16_t>(offset),
                                   file_type(tree.at(entry.id).kind), 0});
      offset += entry.name.size();
    }
    for (const DirectoryEntry& entry : rest.first(count)) out += entry.name;
    rest = rest.subspan(count);
  }
  return out;
}

std::string xattr_area(const Inode& inode) {
  const bool none = !inode.opaque && (!inode.extra || inode.extra->xattrs.empty());
  if (none) return {};
  std::string out(kXattrHeader, '\0');
  if (inode.opaque) append_xattr("trusted.overlay.opaque", "y", out);
  if (inode.extra) {
    for (const auto& [name, value] : inode.extra->xattrs) append_xattr(name, value, out);
  }
  return out;
}

InodeRecord inode_record(const Inode& inode) {
  InodeRecord record;
  record.mode = static_cast<std::uint16_t>(inode.mode | type_bits(inode.kind));
  record.uid = inode.uid;
  record.gid = inode.gid;
  record.mtime = static_cast<std::uint64_t>(inode.mtime_s);
  record.mtime_ns = inode.mtime_ns;
  record.links = inode.links;
  record.raw_block_or_device = inode.first_block;
  if (inode.kind == FileKind::character || inode.kind == FileKind::block) {
    record.raw_block_or_device = encode_device(inode.device_major, inode.device_minor);
  }
  return record;
}

}  // namespace perigee::image::erofs
