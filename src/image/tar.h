// TarReader: a tar stream, entry by entry, data in pieces; never more in memory than one chunk and
// one entry's header. Formats: v7, ustar (POSIX.1-1988), pax (POSIX.1-2001, with SCHILY.xattr and
// GNU.sparse 0.0, 0.1 and 1.0), GNU (long names, base-256 numbers, old sparse). Names are bytes: no
// character set is assumed and nothing is normalised.
//
//   TarReader tar(source);
//   for (;;) {
//     TRY(auto entry, tar.next());
//     if (!entry) break;
//     for (;;) { TRY(auto piece, tar.piece()); if (!piece) break; … }  // or leave it: next() skips
//   }
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "image/source.h"

namespace perigee::image {

enum class TarKind { file, hard_link, symlink, character, block, directory, fifo };

struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool operator==(const Extent&) const = default;
};

using Xattr = std::pair<std::string, std::string>;  // "user.name", value

struct TarEntry {
  TarKind kind = TarKind::file;
  std::string path;        // as it is in the archive
  std::string link;        // target of a hard or symbolic link
  std::uint16_t mode = 0;  // permissions, setuid, setgid, sticky
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int64_t mtime_s = 0;
  std::uint32_t mtime_ns = 0;
  std::uint64_t size = 0;  // of a file, holes included
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::vector<Xattr> xattrs;
  bool sparse = false;
  std::vector<Extent> extents;  // of a sparse file: where its data is; ascending
};

struct TarPiece {
  std::uint64_t offset = 0;  // within the file
  std::string_view data;     // valid until the next call of the reader
};

class TarReader {
 public:
  explicit TarReader(ByteSource& source) : source_(source) {}

  Result<std::optional<TarEntry>> next();   // nullopt at the end of the archive
  Result<std::optional<TarPiece>> piece();  // nullopt at the end of the entry's data
  Result<void> drain();  // reads what follows the archive's end, so that a hash covers all

  struct Pax;  // what pax records have said (tar_header.h)

 private:
  using Block = std::span<const char, 512>;
  using Records = std::vector<std::pair<std::string, std::string>>;
  Result<bool> read_block(std::span<char, 512> into);  // false at the end of the stream
  Result<void> read_exact(std::span<char> into);
  Result<std::string_view> some(std::uint64_t max);
  Result<void> skip(std::uint64_t bytes);
  Result<bool> at_archive_end(std::span<char, 512> block);
  Result<std::string> read_text(std::uint64_t size);
  Result<void> read_extended(char type, std::uint64_t size, Records& local);
  Result<TarEntry> finish_entry(Block block, const Pax& pax);
  Result<void> read_sparse_map(Block block, const Pax& pax, TarEntry& entry);
  Result<void> read_old_sparse(Block block, TarEntry& entry);
  Result<void> read_sparse_1_0(TarEntry& entry);
  Result<std::uint64_t> read_sparse_number(std::string& line);
  Result<void> skip_data();

  ByteSource& source_;
  std::string_view rest_;           // of the current chunk
  std::uint64_t remaining_ = 0;     // stored bytes of the current entry not yet read
  std::uint64_t padding_ = 0;       // after them
  bool sparse_ = false;             // as the current entry's
  std::vector<Extent> extents_;     // as the current entry's
  std::size_t extent_ = 0;          // where in extents_
  std::uint64_t position_ = 0;      // in the file, or in the extent
  std::uint64_t global_bytes_ = 0;  // of global pax headers so far
  Records global_;                  // from global pax headers
};

}  // namespace perigee::image
