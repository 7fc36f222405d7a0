// Tree: the metadata of one disk's files, in memory, while layers are applied to it; file data is
// in the image file already (Inode::first_block). Inodes are numbers, so that hard links share one.
//
// Bounded by limits.h: number of inodes, bytes of names, links and attributes, depth.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/tar.h"

namespace perigee::image {

enum class FileKind : std::uint8_t { file, directory, symlink, character, block, fifo };

using InodeId = std::uint32_t;

// A name in a directory.
struct Name {
  InodeId id = 0;
  std::uint16_t layer = 0;  // the layer that set it last
};
using Children = std::map<std::string, Name, std::less<>>;  // in order of bytes, as EROFS wants

// What few inodes have.
struct InodeExtra {
  std::string target;  // of a symlink
  std::vector<Xattr> xattrs;
  Children children;   // of a directory
  InodeId parent = 0;  // of a directory
};

struct Inode {
  FileKind kind = FileKind::file;
  bool opaque = false;      // a directory that hides what lies below it
  std::uint16_t mode = 0;   // permissions
  std::uint16_t depth = 0;  // of a directory
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mtime_ns = 0;
  std::int64_t mtime_s = 0;
  std::uint64_t size = 0;  // of a file
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::uint32_t first_block = 0;  // of a file's data in the image
  std::uint32_t links = 0;        // names; counted when the image is finished
  std::unique_ptr<InodeExtra> extra;

  bool is_whiteout() const {
    return kind == FileKind::character && device_major == 0 && device_minor == 0;
  }
};

// Splits a name of an archive into its components: "/a/./b/" → a, b. What climbs out by ".." or
// breaks a limit is refused.
Result<std::vector<std::string_view>> split_path(std::string_view path);

class Tree {
 public:
  Tree();

  static constexpr InodeId kRoot = 0;
  Inode& at(InodeId id) { return inodes_[id]; }
  const Inode& at(InodeId id) const { return inodes_[id]; }
  std::size_t size() const { return inodes_.size(); }

  std::optional<Name> find(InodeId directory, std::string_view name) const;
  // A new inode, not yet named.
  Result<InodeId> add(Inode inode);
  // Names `entry.id` in `directory`; a former holder of the name loses it.
  Result<void> link(InodeId directory, std::string_view name, Name entry);
  void unlink(InodeId directory, std::string_view name);
  // Removes what layers before `layer` left in `directory`, all the way down.
  void remove_older(InodeId directory, unsigned layer);

  // The directory that `path` names, through symbolic links as the kernel would follow them inside
  // this tree. nullopt: a part of it is not there.
  Result<std::optional<InodeId>> find_directory(const std::vector<std::string_view>& path) const;
  // As find_directory; what is not there is made (0755, root's, of layer `layer`).
  Result<InodeId> make_directories(const std::vector<std::string_view>& path, unsigned layer);

 private:
  struct Walk;
  Result<bool> walk(Walk& state) const;
  Result<void> account(std::size_t bytes);

  std::deque<Inode> inodes_;
  std::uint64_t metadata_bytes_ = 0;
};

}  // namespace perigee::image
