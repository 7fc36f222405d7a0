// The fields of a tar header block and of pax records, without I/O. Private to the image module.
// Sources: POSIX.1-2017 pax (ustar and pax interchange formats), GNU tar manual "Tar Internals".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image/tar.h"

namespace perigee::image {

inline constexpr std::size_t kTarBlock = 512;
using TarBlock = std::span<const char, kTarBlock>;

struct TarTime {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
};

// What the extended headers before an entry say of it; unset is not said.
struct TarReader::Pax {
  std::optional<std::string> path;
  std::optional<std::string> link;
  std::optional<std::uint64_t> size;
  std::optional<std::uint64_t> uid;
  std::optional<std::uint64_t> gid;
  std::optional<TarTime> mtime;
  std::vector<Xattr> xattrs;
  std::size_t xattr_bytes = 0;
  // GNU.sparse.*
  bool sparse = false;
  int sparse_major = 0;
  std::optional<std::string> sparse_name;
  std::optional<std::uint64_t> sparse_size;
  std::vector<Extent> extents;
  std::optional<std::uint64_t> pending_offset;
};

// "LENGTH key=value\n" records of an extended header, in order.
Result<std::vector<Xattr>> parse_pax_records(std::string_view text);
Result<void> apply_pax_record(std::string_view key, std::string_view value, TarReader::Pax& pax);

Result<void> verify_checksum(TarBlock block);
bool all_zero(TarBlock block);
char type_of(TarBlock block);
Result<std::uint64_t> size_of(TarBlock block);
// Name, link, kind, mode, owner, time, device from the block, overridden by `pax`.
Result<TarEntry> parse_entry(TarBlock block, const TarReader::Pax& pax);
// Octal text, or base-256 where the first bit is set (GNU).
Result<std::int64_t> parse_tar_number(std::string_view field);
std::string_view until_nul(std::string_view field);
// Ascending, disjoint, within `size`, and as long in sum as `stored`.
Result<void> verify_extents(const std::vector<Extent>& extents, std::uint64_t size,
                            std::uint64_t stored);

}  // namespace perigee::image
