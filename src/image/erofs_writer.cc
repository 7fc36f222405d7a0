#include "image/erofs_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "image/erofs_record.h"
#include "image/limits.h"

namespace perigee::image {
namespace {

using erofs::kBlock;

constexpr std::size_t kBuffer = 1024 * 1024;
// The first inode, the root's, is not at 0: a directory entry with inode number 0 is no entry for
// readdir(3).
constexpr std::uint64_t kFirstInode = sizeof(erofs::InodeRecord);

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) / to * to;
}

Result<void> write_all_at(int fd, std::string_view data, std::uint64_t offset) {
  while (!data.empty()) {
    const ssize_t n = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "write the disk image"));
    data.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

// What an inode's data is, when it is made of metadata.
std::uint64_t content_size(const Tree& tree, InodeId id) {
  const Inode& inode = tree.at(id);
  if (inode.kind == FileKind::directory) return erofs::directory_size(tree, id);
  return inode.kind == FileKind::symlink ? inode.extra->target.size() : 0;
}

// Links of every inode that the root reaches, and those inodes, a directory's children together.
std::vector<InodeId> count_links(Tree& tree) {
  for (InodeId id = 0; id < tree.size(); ++id) tree.at(id).links = 0;
  std::vector<InodeId> order{Tree::kRoot};
  tree.at(Tree::kRoot).links = 2;
  for (std::size_t i = 0; i < order.size(); ++i) {
    Inode& inode = tree.at(order[i]);
    if (inode.kind != FileKind::directory) continue;
    for (const auto& [name, child] : inode.extra->children) {
      Inode& target = tree.at(child.id);
      if (target.links == 0) order.push_back(child.id);
      target.links += target.kind == FileKind::directory ? 2 : 1;
      if (target.kind == FileKind::directory) ++inode.links;
    }
  }
  return order;
}

}  // namespace

// Where everything goes.
struct ErofsWriter::Plan {
  std::vector<InodeId> order;
  std::vector<std::uint64_t> nids;     // by InodeId
  std::vector<std::uint64_t> content;  // by place in `order`: bytes of directory or symlink
  std::vector<bool> in_line;           // by place in `order`
  std::uint64_t meta_start = 0;        // byte offset that nids count from
};

ErofsWriter::ErofsWriter(int fd) : fd_(fd), position_(kBlock) {
  buffer_.reserve(kBuffer);
}

// ---- appending ----

Result<void> ErofsWriter::flush() {
  TRY_VOID(write_all_at(fd_, buffer_, position_ - buffer_.size()));
  buffer_.clear();
  return {};
}

Result<void> ErofsWriter::append(std::string_view data) {
  if (data.size() > kMaxImageBytes || position_ > kMaxImageBytes - data.size()) {
    return fail(Code::unsupported, "the disk would be larger than {} GiB", kMaxImageBytes / kGiB);
  }
  if (buffer_.size() + data.size() > kBuffer) TRY_VOID(flush());
  if (data.size() >= kBuffer / 8 && buffer_.empty()) {
    TRY_VOID(write_all_at(fd_, data, position_));
  } else {
    buffer_ += data;
  }
  position_ += data.size();
  return {};
}

// What is skipped reads as zeros; long stretches stay holes.
Result<void> ErofsWriter::skip_to(std::uint64_t position) {
  if (position > kMaxImageBytes) {
    return fail(Code::unsupported, "the disk would be larger than {} GiB", kMaxImageBytes / kGiB);
  }
  const std::uint64_t gap = position - position_;
  if (gap + buffer_.size() <= kBuffer && gap < 2ULL * kBlock) {
    buffer_.append(gap, '\0');
  } else {
    TRY_VOID(flush());
  }
  position_ = position;
  return {};
}

Result<void> ErofsWriter::pad_to_block() {
  return skip_to(round_up(position_, kBlock));
}

// ---- file data ----

Result<std::uint32_t> ErofsWriter::begin_file(std::uint64_t size) {
  TRY_VOID(pad_to_block());
  file_start_ = position_;
  file_size_ = size;
  return static_cast<std::uint32_t>(position_ / kBlock);
}

Result<void> ErofsWriter::write(std::uint64_t offset, std::string_view data) {
  if (offset > 0) TRY_VOID(skip_to(file_start_ + offset));
  return append(data);
}

Result<void> ErofsWriter::end_file() {
  return skip_to(round_up(file_start_ + file_size_, kBlock));
}

// ---- metadata ----

Result<ErofsWriter::Plan> ErofsWriter::plan(Tree& tree) {
  Plan out;
  out.order = count_links(tree);
  out.nids.resize(tree.size());
  std::uint64_t at = kFirstInode;
  std::uint64_t block = position_ / kBlock;
  for (const InodeId id : out.order) {
    Inode& inode = tree.at(id);
    const std::uint64_t content = content_size(tree, id);
    const std::uint64_t head = sizeof(erofs::InodeRecord) + erofs::xattr_area(inode).size();
    const bool in_line = content > 0 && head + content <= kBlock;
    const std::uint64_t size = in_line ? head + content : head;
    if (in_line && at % kBlock + size > kBlock) at = round_up(at, kBlock);
    if (content > 0 && !in_line) {
      inode.first_block = static_cast<std::uint32_t>(block);
      block += round_up(content, kBlock) / kBlock;
    }
    out.nids[id] = at / erofs::kSlot;
    out.content.push_back(content);
    out.in_line.push_back(in_line);
    at = round_up(at + size, sizeof(erofs::InodeRecord));
  }
  out.meta_start = block * kBlock;
  if (out.meta_start + at > kMaxImageBytes) {
    return fail(Code::unsupported, "the disk would be larger than {} GiB", kMaxImageBytes / kGiB);
  }
  return out;
}

Result<void> ErofsWriter::free_unnamed(const Tree& tree) {
  for (InodeId id = 0; id < tree.size(); ++id) {
    const Inode& inode = tree.at(id);
    if (inode.kind != FileKind::file || inode.links > 0 || inode.size == 0) continue;
    const auto start = static_cast<off_t>(inode.first_block) * static_cast<off_t>(kBlock);
    const auto size = static_cast<off_t>(round_up(inode.size, kBlock));
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (::fallocate(fd_, mode, start, size) < 0 && errno != EOPNOTSUPP) {
      return fail(errno_error(errno, "punch a hole into the disk image"));
    }
  }
  return {};
}

Result<void> ErofsWriter::write_directories(const Tree& tree, const Plan& plan) {
  for (std::size_t i = 0; i < plan.order.size(); ++i) {
    if (plan.in_line[i] || plan.content[i] == 0) continue;
    const InodeId id = plan.order[i];
    const Inode& inode = tree.at(id);
    const bool directory = inode.kind == FileKind::directory;
    TRY_VOID(
        append(directory ? erofs::directory_content(tree, id, plan.nids) : inode.extra->target));
    TRY_VOID(pad_to_block());
  }
  return {};
}

Result<void> ErofsWriter::write_inodes(const Tree& tree, const Plan& plan) {
  for (std::size_t i = 0; i < plan.order.size(); ++i) {
    const InodeId id = plan.order[i];
    const Inode& inode = tree.at(id);
    const std::string xattrs = erofs::xattr_area(inode);
    erofs::InodeRecord record = erofs::inode_record(inode);
    const auto layout = plan.in_line[i] ? erofs::Layout::in_line : erofs::Layout::plain;
    record.format = static_cast<std::uint16_t>(1U | static_cast<unsigned>(layout) << 1);
    record.number = static_cast<std::uint32_t>(i + 1);
    record.size = inode.kind == FileKind::file ? inode.size : plan.content[i];
    if (!xattrs.empty()) {
      const std::size_t words = (xattrs.size() - erofs::kXattrHeader) / 4;
      record.xattr_count = static_cast<std::uint16_t>(1 + words);
    }
    TRY_VOID(skip_to(plan.meta_start + plan.nids[id] * erofs::kSlot));
    TRY_VOID(append(erofs::bytes_of(record)));
    TRY_VOID(append(xattrs));
    if (!plan.in_line[i]) continue;
    const bool directory = inode.kind == FileKind::directory;
    TRY_VOID(
        append(directory ? erofs::directory_content(tree, id, plan.nids) : inode.extra->target));
  }
  // erofs-utils read an attribute header behind every inode, the last one too.
  TRY_VOID(append(std::string(erofs::kXattrHeader, '\0')));
  TRY_VOID(pad_to_block());
  return flush();
}

Result<void> ErofsWriter::write_super(const Plan& plan, const Uuid& uuid) {
  erofs::Super super;
  super.root_nid = static_cast<std::uint16_t>(plan.nids[Tree::kRoot]);
  super.inodes = plan.order.size();
  super.blocks = static_cast<std::uint32_t>(position_ / kBlock);
  super.meta_block = static_cast<std::uint32_t>(plan.meta_start / kBlock);
  super.xattr_block = super.meta_block;
  std::memcpy(super.uuid, uuid.data(), uuid.size());
  std::string block(kBlock - erofs::kSuperOffset, '\0');
  std::memcpy(block.data(), &super, sizeof(super));
  super.checksum = erofs::crc32c(~0U, block);
  std::memcpy(block.data(), &super, sizeof(super));
  return write_all_at(fd_, block, erofs::kSuperOffset);
}

Result<void> ErofsWriter::finish(Tree& tree, const Uuid& uuid) {
  TRY_VOID(pad_to_block());
  TRY(const Plan plan, this->plan(tree));
  TRY_VOID(write_directories(tree, plan));
  TRY_VOID(write_inodes(tree, plan));
  if (::ftruncate(fd_, static_cast<off_t>(position_)) < 0) {
    return fail(errno_error(errno, "size the disk image"));
  }
  TRY_VOID(free_unnamed(tree));
  return write_super(plan, uuid);
}

Result<void> check_erofs(int fd) {
  const auto bad = [](std::string_view why) {
    return fail(Code::data_loss, "not a whole EROFS image: {}", why);
  };
  std::string block(kBlock - erofs::kSuperOffset, '\0');
  struct stat info{};
  if (::fstat(fd, &info) < 0) return fail(errno_error(errno, "stat the disk image"));
  const ssize_t n = ::pread(fd, block.data(), block.size(), erofs::kSuperOffset);
  if (n != static_cast<ssize_t>(block.size())) return bad("it is too short");
  erofs::Super super;
  std::memcpy(&super, block.data(), sizeof(super));
  if (super.magic != erofs::kMagic) return bad("no superblock");
  const std::uint32_t stored = std::exchange(super.checksum, 0);
  std::memcpy(block.data(), &super, sizeof(super));
  if (erofs::crc32c(~0U, block) != stored) return bad("wrong checksum");
  if (std::uint64_t{super.blocks} * kBlock != static_cast<std::uint64_t>(info.st_size)) {
    return bad("wrong size");
  }
  return {};
}

}  // namespace perigee::image
