#include "image/tar_header.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/text.h"
#include "image/limits.h"

namespace perigee::image {
namespace {

std::string_view field(TarBlock block, std::size_t offset, std::size_t size) {
  return {block.data() + offset, size};
}

std::string_view name_field(TarBlock b) {
  return until_nul(field(b, 0, 100));
}
std::string_view link_field(TarBlock b) {
  return until_nul(field(b, 157, 100));
}
std::string_view magic_field(TarBlock b) {
  return field(b, 257, 8);
}

// ustar has a prefix of the name at 345; in GNU's format other things are there. star's variant
// ("tar\0" at the end) has a shorter one.
std::string full_name(TarBlock block) {
  const std::string name(name_field(block));
  if (magic_field(block).substr(0, 6) != std::string_view("ustar\0", 6)) return name;
  const bool star = field(block, 508, 4) == std::string_view("tar\0", 4);
  const std::string_view prefix = until_nul(field(block, 345, star ? 131 : 155));
  return prefix.empty() ? name : std::string(prefix) + "/" + name;
}

Result<std::uint64_t> unsigned_number(std::string_view text, std::string_view what) {
  TRY_AS(const std::int64_t value, parse_tar_number(text), fmt::format("tar header, {}", what));
  if (value < 0) return fail(Code::data_loss, "tar header, {}: it is negative", what);
  return static_cast<std::uint64_t>(value);
}

Result<std::uint64_t> decimal(std::string_view key, std::string_view value) {
  const auto number = parse_uint(value, std::numeric_limits<std::int64_t>::max());
  if (!number) return fail(Code::data_loss, "pax header, {}: not a number", key);
  return *number;
}

// [-]SECONDS[.FRACTION]; times before 1970 round down.
Result<TarTime> decimal_time(std::string_view value) {
  const bool negative = value.starts_with('-');
  const auto parts = split_once(value.substr(negative ? 1 : 0), '.');
  const std::string_view whole = parts ? parts->first : value.substr(negative ? 1 : 0);
  std::string fraction(parts ? parts->second.substr(0, 9) : "");
  fraction.resize(9, '0');
  constexpr std::uint64_t kMaxSeconds = 1ULL << 40;
  const auto seconds = parse_uint(whole, kMaxSeconds);
  const auto nanoseconds = parse_uint(fraction, 999'999'999);
  if (!seconds || !nanoseconds) return fail(Code::data_loss, "pax header, mtime: not a time");
  TarTime time{static_cast<std::int64_t>(*seconds), static_cast<std::uint32_t>(*nanoseconds)};
  if (!negative) return time;
  time.seconds = -time.seconds;
  if (time.nanoseconds == 0) return time;
  return TarTime{time.seconds - 1, 1'000'000'000 - time.nanoseconds};
}

Result<std::uint32_t> owner(std::uint64_t value, std::string_view what) {
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    return fail(Code::data_loss, "tar header, {}: {} is not a valid id", what, value);
  }
  return static_cast<std::uint32_t>(value);
}

Result<TarKind> kind_of(TarBlock block, std::string_view path) {
  switch (type_of(block)) {
    case '0':
    case '\0':
    case '7':
      return path.ends_with('/') ? TarKind::directory : TarKind::file;
    case 'S':
      return TarKind::file;
    case '1':
      return TarKind::hard_link;
    case '2':
      return TarKind::symlink;
    case '3':
      return TarKind::character;
    case '4':
      return TarKind::block;
    case '5':
    case 'D':
      return TarKind::directory;
    case '6':
      return TarKind::fifo;
    default:
      return fail(Code::unsupported, "tar: \"{}\" is of type {:#x}, which is no kind of file", path,
                  static_cast<unsigned char>(type_of(block)));
  }
}

Result<void> parse_device(TarBlock block, TarEntry& entry) {
  if (entry.kind != TarKind::character && entry.kind != TarKind::block) return {};
  TRY(const std::uint64_t major, unsigned_number(field(block, 329, 8), "device"));
  TRY(const std::uint64_t minor, unsigned_number(field(block, 337, 8), "device"));
  if (major > 0xfff || minor > 0xfffff) {
    return fail(Code::data_loss, "tar: \"{}\" has an impossible device number", entry.path);
  }
  entry.device_major = static_cast<std::uint32_t>(major);
  entry.device_minor = static_cast<std::uint32_t>(minor);
  return {};
}

Result<void> parse_owner_and_time(TarBlock block, const TarReader::Pax& pax, TarEntry& entry) {
  std::uint64_t uid = pax.uid.value_or(0);
  std::uint64_t gid = pax.gid.value_or(0);
  if (!pax.uid) {
    TRY(uid, unsigned_number(field(block, 108, 8), "uid"));
  }
  if (!pax.gid) {
    TRY(gid, unsigned_number(field(block, 116, 8), "gid"));
  }
  TRY(entry.uid, owner(uid, "uid"));
  TRY(entry.gid, owner(gid, "gid"));
  if (pax.mtime) {
    entry.mtime_s = pax.mtime->seconds;
    entry.mtime_ns = pax.mtime->nanoseconds;
    return {};
  }
  TRY_AS(entry.mtime_s, parse_tar_number(field(block, 136, 12)), "tar header, mtime");
  return {};
}

Result<std::int64_t> base_256(std::string_view bytes) {
  const bool negative = (static_cast<unsigned char>(bytes[0]) & 0x40) != 0;
  std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::uint8_t byte = static_cast<std::uint8_t>(bytes[i]);
    if (i == 0) byte = static_cast<std::uint8_t>(negative ? byte | 0x80 : byte & 0x7f);
    const std::uint64_t high = value >> 55;  // lost by the shift, or the sign
    if (high != 0 && high != 0x1ff) return fail(Code::data_loss, "the number is too large");
    value = (value << 8) | byte;
  }
  return static_cast<std::int64_t>(value);
}

// Pairs of GNU.sparse.offset and GNU.sparse.numbytes (format 0.0), or "offset,length,…" (0.1).
Result<void> add_extent(TarReader::Pax& pax, std::uint64_t offset, std::uint64_t length) {
  if (pax.extents.size() >= kMaxSparseExtents) {
    return fail(Code::unsupported, "tar: a sparse file has more than {} pieces", kMaxSparseExtents);
  }
  pax.extents.push_back({offset, length});
  return {};
}

Result<void> sparse_map(std::string_view value, TarReader::Pax& pax) {
  const auto numbers = split(value, ',');
  if (numbers.size() % 2 != 0) return fail(Code::data_loss, "pax header: odd sparse map");
  for (std::size_t i = 0; i < numbers.size(); i += 2) {
    TRY(const std::uint64_t offset, decimal("GNU.sparse.map", numbers[i]));
    TRY(const std::uint64_t length, decimal("GNU.sparse.map", numbers[i + 1]));
    TRY_VOID(add_extent(pax, offset, length));
  }
  return {};
}

Result<void> apply_sparse_record(std::string_view key, std::string_view value,
                                 TarReader::Pax& pax) {
  pax.sparse = true;
  if (key == "major") {
    TRY(const std::uint64_t major, decimal("GNU.sparse.major", value));
    if (major > 1) return fail(Code::unsupported, "tar: sparse format {} is not known", major);
    pax.sparse_major = static_cast<int>(major);
  } else if (key == "name") {
    pax.sparse_name = std::string(value);
  } else if (key == "size" || key == "realsize") {
    TRY(pax.sparse_size, decimal("GNU.sparse.size", value));
  } else if (key == "map") {
    return sparse_map(value, pax);
  } else if (key == "offset") {
    TRY(pax.pending_offset, decimal("GNU.sparse.offset", value));
  } else if (key == "numbytes") {
    TRY(const std::uint64_t length, decimal("GNU.sparse.numbytes", value));
    if (!pax.pending_offset) return fail(Code::data_loss, "pax header: sparse length alone");
    TRY_VOID(add_extent(pax, *pax.pending_offset, length));
    pax.pending_offset.reset();
  }
  return {};
}

Result<void> set_xattr(std::string_view name, std::string_view value, TarReader::Pax& pax) {
  constexpr std::size_t kOverhead = 16;  // bounds their number too
  pax.xattr_bytes += name.size() + value.size() + kOverhead;
  if (pax.xattr_bytes > kMaxXattrBytes) {
    return fail(Code::unsupported, "tar: a file has more than {} KiB of extended attributes",
                kMaxXattrBytes / kKiB);
  }
  std::erase_if(pax.xattrs, [name](const Xattr& x) { return x.first == name; });
  pax.xattrs.emplace_back(name, value);
  return {};
}

// POSIX: an empty value takes back what an earlier record said, and the block's holds again.
void take_back(std::string_view key, TarReader::Pax& pax) {
  if (key == "path") pax.path.reset();
  if (key == "linkpath") pax.link.reset();
  if (key == "size") pax.size.reset();
  if (key == "uid") pax.uid.reset();
  if (key == "gid") pax.gid.reset();
  if (key == "mtime") pax.mtime.reset();
}

}  // namespace

std::string_view until_nul(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

Result<std::int64_t> parse_tar_number(std::string_view text) {
  if ((static_cast<unsigned char>(text[0]) & 0x80) != 0) return base_256(text);
  const auto blank = [](char c) { return c == ' ' || c == '\0'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  std::int64_t value = 0;  // 12 octal digits are 36 bits
  for (const char c : text) {
    if (blank(c)) break;
    if (c < '0' || c > '7') return fail(Code::data_loss, "not a number");
    value = value * 8 + (c - '0');
  }
  return value;
}

Result<std::vector<Xattr>> parse_pax_records(std::string_view text) {
  std::vector<Xattr> records;
  const auto bad = [] { return fail(Code::data_loss, "pax header: malformed record"); };
  while (!text.empty()) {
    const auto blank = text.find(' ');
    if (blank == text.npos || blank > 10) return bad();
    const auto length = parse_uint(text.substr(0, blank), text.size());
    if (!length || *length < blank + 3 || text[*length - 1] != '\n') return bad();
    const auto record = split_once(text.substr(blank + 1, *length - blank - 2), '=');
    if (!record || record->first.empty()) return bad();
    records.emplace_back(record->first, record->second);
    text.remove_prefix(*length);
  }
  return records;
}

Result<void> apply_pax_record(std::string_view key, std::string_view value, TarReader::Pax& pax) {
  constexpr std::string_view kXattr = "SCHILY.xattr.";
  constexpr std::string_view kSparse = "GNU.sparse.";
  if (key.starts_with(kXattr)) {
    return set_xattr(key.substr(kXattr.size()), value, pax);
  } else if (key.starts_with(kSparse)) {
    return apply_sparse_record(key.substr(kSparse.size()), value, pax);
  } else if (value.empty()) {
    take_back(key, pax);
  } else if (key == "path") {
    pax.path = std::string(value);
  } else if (key == "linkpath") {
    pax.link = std::string(value);
  } else if (key == "size") {
    TRY(pax.size, decimal(key, value));
  } else if (key == "uid") {
    TRY(pax.uid, decimal(key, value));
  } else if (key == "gid") {
    TRY(pax.gid, decimal(key, value));
  } else if (key == "mtime") {
    TRY(pax.mtime, decimal_time(value));
  }
  return {};
}

Result<void> verify_checksum(TarBlock block) {
  std::int64_t as_unsigned = 0;
  std::int64_t as_signed = 0;  // some old writers summed signed bytes
  for (std::size_t i = 0; i < block.size(); ++i) {
    const char c = i >= 148 && i < 156 ? ' ' : block[i];
    as_unsigned += static_cast<unsigned char>(c);
    as_signed += static_cast<signed char>(c);
  }
  const auto stored = parse_tar_number(field(block, 148, 8));
  if (stored && (*stored == as_unsigned || *stored == as_signed)) return {};
  return fail(Code::data_loss, "tar: a header's checksum is wrong (not a tar, or corrupt)");
}

bool all_zero(TarBlock block) {
  return std::ranges::all_of(block, [](char c) { return c == '\0'; });
}

char type_of(TarBlock block) {
  return block[156];
}

Result<std::uint64_t> size_of(TarBlock block) {
  return unsigned_number(field(block, 124, 12), "size");
}

Result<TarEntry> parse_entry(TarBlock block, const TarReader::Pax& pax) {
  TarEntry entry;
  entry.path = pax.sparse_name ? *pax.sparse_name : pax.path ? *pax.path : full_name(block);
  entry.link = pax.link ? *pax.link : std::string(link_field(block));
  TRY(entry.kind, kind_of(block, entry.path));
  TRY(const std::uint64_t mode, unsigned_number(field(block, 100, 8), "mode"));
  entry.mode = static_cast<std::uint16_t>(mode & 07777);
  TRY_VOID(parse_owner_and_time(block, pax, entry));
  TRY_VOID(parse_device(block, entry));
  entry.xattrs = pax.xattrs;
  return entry;
}

Result<void> verify_extents(const std::vector<Extent>& extents, std::uint64_t size,
                            std::uint64_t stored) {
  const auto bad = [] { return fail(Code::data_loss, "tar: a sparse file's map is impossible"); };
  std::uint64_t end = 0;
  std::uint64_t sum = 0;
  for (const Extent& extent : extents) {
    if (extent.offset < end || extent.offset > size) return bad();
    if (extent.length > size - extent.offset) return bad();
    end = extent.offset + extent.length;
    sum += extent.length;
  }
  if (sum != stored) return bad();
  return {};
}

}  // namespace perigee::image
