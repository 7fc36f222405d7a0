// For tests and fuzzing: reads an image of ErofsWriter's subset and says what is wrong with it, by
// the rules that the kernel relies on. Written from docs/formats/erofs.md, not from the writer.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "image/erofs_format.h"
#include "image/erofs_writer.h"

namespace perigee::image {

class ErofsReader {
 public:
  explicit ErofsReader(int fd) : fd_(fd) {}

  // Empty: the image is sound.
  std::string problem() {
    if (auto checked = check_erofs(fd_); !checked) return checked.error().context;
    read_at(erofs::kSuperOffset, &super_, sizeof(super_));
    std::vector<Pending> pending{{super_.root_nid, super_.root_nid}};
    while (!pending.empty()) {
      const Pending next = pending.back();
      pending.pop_back();
      if (!directories_.insert(next.nid).second) return "a directory has two names";
      if (std::string wrong = check_directory(next, pending); !wrong.empty()) return wrong;
    }
    return inodes_.size() == super_.inodes ? "" : "the number of inodes is wrong";
  }

 private:
  struct Pending {
    std::uint64_t nid;
    std::uint64_t parent;
  };
  struct Node {
    erofs::InodeRecord record;
    std::uint64_t offset = 0;
    std::uint64_t head = 0;  // record and attributes
    bool in_line() const { return record.format >> 1 == 2; }
  };

  bool read_at(std::uint64_t offset, void* into, std::size_t size) {
    return ::pread(fd_, into, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
  }
  std::uint64_t end() const { return std::uint64_t{super_.blocks} * erofs::kBlock; }

  std::string read_node(std::uint64_t nid, Node& node) {
    node.offset = std::uint64_t{super_.meta_block} * erofs::kBlock + nid * erofs::kSlot;
    if (!read_at(node.offset, &node.record, sizeof(node.record))) return "an inode is outside";
    if ((node.record.format & 1) != 1) return "an inode is not extended";
    node.head = sizeof(node.record);
    if (node.record.xattr_count > 0) node.head += 12 + (node.record.xattr_count - 1U) * 4;
    if (node.offset + node.head > end()) return "attributes are outside";
    const std::uint64_t size = node.record.size;
    if (node.in_line()) {
      if (node.offset % erofs::kBlock + node.head + size > erofs::kBlock) {
        return "inline data crosses its block";
      }
    } else if (has_data(node) && size > 0) {
      const std::uint64_t start = std::uint64_t{node.record.raw_block_or_device} * erofs::kBlock;
      if (start == 0 || start + size > end()) return "data is outside";
    }
    inodes_.insert(nid);
    return {};
  }
  static bool has_data(const Node& node) {
    const unsigned type = node.record.mode & S_IFMT;
    return type == S_IFREG || type == S_IFDIR || type == S_IFLNK;
  }
  static unsigned type_of(const Node& node) {
    switch (node.record.mode & S_IFMT) {
      case S_IFREG:
        return 1;
      case S_IFDIR:
        return 2;
      case S_IFCHR:
        return 3;
      case S_IFBLK:
        return 4;
      case S_IFIFO:
        return 5;
      case S_IFLNK:
        return 7;
      default:
        return 0;
    }
  }

  std::string check_directory(const Pending& at, std::vector<Pending>& pending) {
    Node node;
    if (std::string wrong = read_node(at.nid, node); !wrong.empty()) return wrong;
    if ((node.record.mode & S_IFMT) != S_IFDIR) return "not a directory";
    std::string content(node.record.size, '\0');
    const std::uint64_t from = node.in_line()
                                   ? node.offset + node.head
                                   : std::uint64_t{node.record.raw_block_or_device} * erofs::kBlock;
    if (!read_at(from, content.data(), content.size())) return "a directory is outside";
    std::string last;
    std::string_view rest(content);
    while (!rest.empty()) {
      const std::string_view block = rest.substr(0, erofs::kBlock);
      if (std::string wrong = check_block(block, at, last, pending); !wrong.empty()) return wrong;
      rest.remove_prefix(block.size());
    }
    return {};
  }

  std::string check_block(std::string_view block, const Pending& at, std::string& last,
                          std::vector<Pending>& pending) {
    constexpr std::size_t kSize = sizeof(erofs::DirentRecord);
    const auto entry_at = [&](std::size_t i) {
      erofs::DirentRecord entry;
      std::memcpy(&entry, block.data() + i * kSize, kSize);
      return entry;
    };
    if (block.size() < kSize) return "a directory block is too short";
    const std::size_t first = entry_at(0).name_offset;
    if (first == 0 || first % kSize != 0 || first > block.size()) return "a bad first name";
    const std::size_t count = first / kSize;
    for (std::size_t i = 0; i < count; ++i) {
      const erofs::DirentRecord entry = entry_at(i);
      const std::size_t stop = i + 1 < count ? entry_at(i + 1).name_offset : block.size();
      if (entry.name_offset >= stop || stop > block.size()) return "names overlap";
      std::string_view name = block.substr(entry.name_offset, stop - entry.name_offset);
      if (i + 1 == count) name = name.substr(0, name.find('\0'));
      if (std::string wrong = check_entry(entry, std::string(name), at, last, pending);
          !wrong.empty()) {
        return wrong;
      }
    }
    return {};
  }

  std::string check_entry(const erofs::DirentRecord& entry, const std::string& name,
                          const Pending& at, std::string& last, std::vector<Pending>& pending) {
    const bool legal = !name.empty() && name.size() <= 255 && name.find('/') == name.npos &&
                       name.find('\0') == name.npos;
    if (!legal) return "an impossible name";
    if (!last.empty() && name <= last) return "names are not in order";
    last = name;
    if (name == ".") return entry.nid == at.nid ? "" : ". is wrong";
    if (name == "..") return entry.nid == at.parent ? "" : ".. is wrong";
    Node node;
    if (std::string wrong = read_node(entry.nid, node); !wrong.empty()) return wrong;
    if (type_of(node) != entry.file_type) return "a name's type is not its inode's";
    if (entry.file_type == 2) pending.push_back({entry.nid, at.nid});
    return {};
  }

  int fd_;
  erofs::Super super_;
  std::set<std::uint64_t> directories_;
  std::set<std::uint64_t> inodes_;
};

}  // namespace perigee::image
