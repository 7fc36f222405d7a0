// The records of an EROFS image as bytes, from a Tree. Pure. Private to the image module.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image/erofs_format.h"
#include "image/tree.h"

namespace perigee::image::erofs {

struct DirectoryEntry {
  std::string_view name;
  InodeId id = 0;
};

// "." and ".." and the children, in order of bytes.
std::vector<DirectoryEntry> entries_of(const Tree& tree, InodeId id);
// How many of the entries go into each block.
std::vector<std::size_t> directory_blocks(std::span<const DirectoryEntry> entries);
std::uint64_t directory_size(const Tree& tree, InodeId id);
// `nids` by InodeId.
std::string directory_content(const Tree& tree, InodeId id, std::span<const std::uint64_t> nids);

std::string xattr_area(const Inode& inode);  // empty, or header and entries
// Mode, owner, time, links, device or first block; the rest is the writer's.
InodeRecord inode_record(const Inode& inode);
std::uint8_t file_type(FileKind kind);

}  // namespace perigee::image::erofs
