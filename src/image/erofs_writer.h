// ErofsWriter: writes an EROFS image into an empty file, front to back: file data as it streams in,
// then directories, then all inodes. Memory holds the Tree and one buffer, never file data.
//
//   ErofsWriter writer(fd);
//   apply_layer(tar, role, 0, tree, writer);   // file data
//   TRY_VOID(writer.finish(tree, uuid));       // the rest; the file is then complete, not synced
//
// Blocks of files that a higher layer of the same tree removed are given back as holes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/layer.h"
#include "image/tree.h"

namespace perigee::image {

using Uuid = std::array<std::uint8_t, 16>;

class ErofsWriter : public DataSink {
 public:
  explicit ErofsWriter(int fd);

  Result<std::uint32_t> begin_file(std::uint64_t size) override;
  Result<void> write(std::uint64_t offset, std::string_view data) override;
  Result<void> end_file() override;

  Result<void> finish(Tree& tree, const Uuid& uuid);
  std::uint64_t bytes() const { return position_; }

 private:
  struct Plan;
  Result<Plan> plan(Tree& tree);
  Result<void> free_unnamed(const Tree& tree);
  Result<void> write_directories(const Tree& tree, const Plan& plan);
  Result<void> write_inodes(const Tree& tree, const Plan& plan);
  Result<void> write_super(const Plan& plan, const Uuid& uuid);
  Result<void> append(std::string_view data);
  Result<void> skip_to(std::uint64_t position);
  Result<void> flush();
  Result<void> pad_to_block();

  int fd_;
  std::string buffer_;            // what precedes position_ and is not written yet
  std::uint64_t position_ = 0;    // end of what has been appended
  std::uint64_t file_start_ = 0;  // of the file being written
  std::uint64_t file_size_ = 0;
};

// What is cheap to see of an image: magic, checksum, and that the file has the size it says.
Result<void> check_erofs(int fd);

}  // namespace perigee::image
