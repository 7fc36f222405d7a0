#include "image/tar.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/text.h"
#include "image/limits.h"
#include "image/tar_header.h"

namespace perigee::image {
namespace {

std::unexpected<Error> truncated() {
  return fail(Code::data_loss, "tar: it ends in the middle of an entry");
}

std::uint64_t padding_of(std::uint64_t size) {
  return (kTarBlock - size % kTarBlock) % kTarBlock;
}

bool has_data(TarKind kind) {
  return kind == TarKind::file;
}

}  // namespace

// ---- bytes ----

Result<std::string_view> TarReader::some(std::uint64_t max) {
  if (rest_.empty()) {
    TRY(rest_, source_.next());
  }
  const std::string_view out = rest_.substr(0, std::min<std::uint64_t>(max, rest_.size()));
  rest_.remove_prefix(out.size());
  return out;
}

Result<void> TarReader::read_exact(std::span<char> into) {
  while (!into.empty()) {
    TRY(const std::string_view part, some(into.size()));
    if (part.empty()) return truncated();
    std::memcpy(into.data(), part.data(), part.size());
    into = into.subspan(part.size());
  }
  return {};
}

Result<bool> TarReader::read_block(std::span<char, 512> into) {
  TRY(const std::string_view part, some(into.size()));
  if (part.empty()) return false;
  std::memcpy(into.data(), part.data(), part.size());
  TRY_VOID(read_exact(into.subspan(part.size())));
  return true;
}

Result<void> TarReader::skip(std::uint64_t bytes) {
  while (bytes > 0) {
    TRY(const std::string_view part, some(bytes));
    if (part.empty()) return truncated();
    bytes -= part.size();
  }
  return {};
}

Result<void> TarReader::drain() {
  for (;;) {
    TRY(const std::string_view part, some(kMaxLayerBytes));
    if (part.empty()) return {};
  }
}

Result<std::string> TarReader::read_text(std::uint64_t size) {
  std::string text(size, '\0');
  TRY_VOID(read_exact(text));
  TRY_VOID(skip(padding_of(size)));
  return text;
}

// ---- headers ----

// The archive ends with two zero blocks; one, or none, before the end of the stream will do.
Result<bool> TarReader::at_archive_end(std::span<char, 512> block) {
  TRY(const bool more, read_block(block));
  if (!more) return true;
  if (!all_zero(block)) return false;
  TRY(const bool second, read_block(block));
  if (!second || all_zero(block)) return true;
  return fail(Code::data_loss, "tar: data after a block of zeros");
}

// What stands before an entry and speaks of it: pax records (x), records for all that follow (g),
// GNU's long name (L) and long link (K).
Result<void> TarReader::read_extended(char type, std::uint64_t size, Records& local) {
  TRY(const std::string text, read_text(size));
  if (type == 'L' || type == 'K') {
    local.emplace_back(type == 'L' ? "path" : "linkpath", until_nul(text));
    return {};
  }
  TRY(Records records, parse_pax_records(text));
  if (type == 'x') {
    std::ranges::move(records, std::back_inserter(local));
    return {};
  }
  global_bytes_ += text.size();
  if (global_bytes_ > kMaxGlobalPaxBytes) {
    return fail(Code::unsupported, "tar: its global headers are too large");
  }
  std::ranges::move(records, std::back_inserter(global_));
  return {};
}

Result<std::optional<TarEntry>> TarReader::next() {
  TRY_VOID(skip_data());
  Records local;
  std::array<char, kTarBlock> block;
  std::uint64_t extended = 0;
  for (;;) {
    TRY(const bool end, at_archive_end(block));
    if (end) return std::nullopt;
    TRY_VOID(verify_checksum(block));
    const char type = type_of(block);
    if (type != 'x' && type != 'g' && type != 'L' && type != 'K' && type != 'V') break;
    TRY(const std::uint64_t size, size_of(block));
    if (size > kMaxPaxBytes || (extended += size + kTarBlock) > 4 * kMaxPaxBytes) {
      return fail(Code::unsupported, "tar: the extended headers of an entry are too large");
    }
    if (type == 'V') continue;  // a volume label has no data
    TRY_VOID(read_extended(type, size, local));
  }
  Pax pax;
  for (const auto& [key, value] : global_) TRY_VOID(apply_pax_record(key, value, pax));
  for (const auto& [key, value] : local) TRY_VOID(apply_pax_record(key, value, pax));
  TRY(TarEntry entry, finish_entry(block, pax));
  return std::optional<TarEntry>(std::move(entry));
}

Result<TarEntry> TarReader::finish_entry(Block block, const Pax& pax) {
  TRY(TarEntry entry, parse_entry(block, pax));
  TRY(std::uint64_t stored, size_of(block));
  if (pax.size) stored = *pax.size;
  if (type_of(block) == 'D') {
    TRY_VOID(skip(stored + padding_of(stored)));  // GNU: a list of the directory's names
  }
  if (!has_data(entry.kind)) return entry;  // a size there means nothing (as Go's reader has it)
  if (stored > kMaxImageBytes) {
    return fail(Code::unsupported, "tar: \"{}\" is larger than {} GiB", entry.path,
                kMaxImageBytes / kGiB);
  }
  remaining_ = stored;
  padding_ = padding_of(stored);
  entry.size = stored;
  TRY_VOID(read_sparse_map(block, pax, entry));
  extents_ = entry.extents;
  sparse_ = entry.sparse;
  extent_ = 0;
  position_ = 0;
  return entry;
}

// ---- sparse files ----

Result<void> TarReader::read_sparse_map(Block block, const Pax& pax, TarEntry& entry) {
  if (type_of(block) == 'S') {
    TRY_VOID(read_old_sparse(block, entry));
  } else if (pax.sparse) {
    entry.sparse = true;
    entry.extents = pax.extents;
    if (pax.sparse_size) entry.size = *pax.sparse_size;
    if (pax.sparse_major == 1) TRY_VOID(read_sparse_1_0(entry));
  }
  if (!entry.sparse) return {};
  if (entry.size > kMaxImageBytes) {
    return fail(Code::unsupported, "tar: \"{}\" is larger than {} GiB", entry.path,
                kMaxImageBytes / kGiB);
  }
  return verify_extents(entry.extents, entry.size, remaining_);
}

// GNU's own: 4 pieces and the real size in the header, 21 in each block that follows it.
Result<void> TarReader::read_old_sparse(Block block, TarEntry& entry) {
  const std::string_view header(block.data(), block.size());
  entry.sparse = true;
  TRY(const std::int64_t real_size, parse_tar_number(header.substr(483, 12)));
  if (real_size < 0) return fail(Code::data_loss, "tar: a sparse file of negative size");
  entry.size = static_cast<std::uint64_t>(real_size);
  std::string map(header.substr(386, 4 * 24));
  bool more = header[482] != '\0';
  for (;;) {
    for (std::size_t i = 0; i + 24 <= map.size() && map[i] != '\0'; i += 24) {
      TRY(const std::int64_t offset, parse_tar_number(std::string_view(map).substr(i, 12)));
      TRY(const std::int64_t length, parse_tar_number(std::string_view(map).substr(i + 12, 12)));
      if (offset < 0 || length < 0) return fail(Code::data_loss, "tar: a negative sparse piece");
      entry.extents.push_back(
          {static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(length)});
    }
    if (!more) return {};
    if (entry.extents.size() > kMaxSparseExtents) {
      return fail(Code::unsupported, "tar: a sparse file has too many pieces");
    }
    std::array<char, kTarBlock> extension;
    TRY_VOID(read_exact(extension));
    map.assign(extension.data(), 21 * 24);
    more = extension[504] != '\0';
  }
}

Result<std::uint64_t> TarReader::read_sparse_number(std::string& line) {
  line.clear();
  for (;;) {
    char c = 0;
    if (remaining_ == 0) return fail(Code::data_loss, "tar: a sparse map is cut off");
    TRY_VOID(read_exact({&c, 1}));
    --remaining_;
    if (c == '\n') break;
    if (line.size() >= 20) return fail(Code::data_loss, "tar: a sparse map is malformed");
    line += c;
  }
  const auto number = parse_uint(line, kMaxImageBytes);
  if (!number) return fail(Code::data_loss, "tar: a sparse map is malformed");
  return *number;
}

// Format 1.0: before the data, padded to a block, decimal lines: how many, then offset and length.
Result<void> TarReader::read_sparse_1_0(TarEntry& entry) {
  const std::uint64_t stored = remaining_;
  std::string line;
  TRY(const std::uint64_t count, read_sparse_number(line));
  if (count > kMaxSparseExtents) {
    return fail(Code::unsupported, "tar: a sparse file has too many pieces");
  }
  entry.extents.clear();
  for (std::uint64_t i = 0; i < count; ++i) {
    TRY(const std::uint64_t offset, read_sparse_number(line));
    TRY(const std::uint64_t length, read_sparse_number(line));
    entry.extents.push_back({offset, length});
  }
  const std::uint64_t rest = padding_of(stored - remaining_);
  if (rest > remaining_) return fail(Code::data_loss, "tar: a sparse map is cut off");
  TRY_VOID(skip(rest));
  remaining_ -= rest;
  return {};
}

// ---- data ----

Result<std::optional<TarPiece>> TarReader::piece() {
  if (remaining_ == 0) return std::nullopt;
  std::uint64_t max = remaining_;
  std::uint64_t offset = position_;
  if (sparse_) {
    while (extents_[extent_].length == position_) {  // verified: the extents hold what remains
      ++extent_;
      position_ = 0;
    }
    max = std::min(max, extents_[extent_].length - position_);
    offset = extents_[extent_].offset + position_;
  }
  TRY(const std::string_view data, some(max));
  if (data.empty()) return truncated();
  remaining_ -= data.size();
  position_ += data.size();
  return TarPiece{offset, data};
}

Result<void> TarReader::skip_data() {
  TRY_VOID(skip(std::exchange(remaining_, 0) + std::exchange(padding_, 0)));
  return {};
}

}  // namespace perigee::image
