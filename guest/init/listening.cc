#include "init/listening.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "channel/limits.h"
#include "init/system.h"
#include "init/text.h"

namespace perigee::init {
namespace {

constexpr std::size_t kLocalColumn = 1;  // of /proc/net/tcp, counted from 0
constexpr std::size_t kStateColumn = 3;
constexpr std::size_t kInodeColumn = 9;
constexpr std::size_t kWordDigits = 8;

template <typename Number>
std::optional<Number> parse_digits(std::string_view text, int base) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

// The kernel prints an address as 32-bit words in the machine's (little-endian) order.
std::optional<std::string> parse_address(std::string_view digits) {
  if (digits.size() != kWordDigits && digits.size() != 4 * kWordDigits) {
    return std::nullopt;
  }
  std::string address;
  for (; !digits.empty(); digits.remove_prefix(kWordDigits)) {
    const auto word = parse_digits<std::uint32_t>(digits.substr(0, kWordDigits), 16);
    if (!word) {
      return std::nullopt;
    }
    for (int shift = 0; shift < 32; shift += 8) {
      address.push_back(static_cast<char>(*word >> shift));
    }
  }
  return address;
}

std::optional<ListeningEntry> parse_line(std::string_view line, std::string_view state) {
  const std::vector<std::string_view> columns = words(line);
  if (columns.size() <= kInodeColumn || columns[kStateColumn] != state) {
    return std::nullopt;
  }
  const std::string_view local = columns[kLocalColumn];
  const std::size_t colon = local.find(':');
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  const auto address = parse_address(local.substr(0, colon));
  const auto port = parse_digits<std::uint16_t>(local.substr(colon + 1), 16);
  const auto inode = parse_digits<std::uint64_t>(columns[kInodeColumn], 10);
  if (!address || !port || *port == 0 || !inode) {
    return std::nullopt;
  }
  return ListeningEntry{{*address, *port, {}}, *inode};
}

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

Directory open_directory(const std::string& path) {
  return {opendir(path.c_str()), closedir};
}

std::string process_name(const std::string& process) {
  const auto name = read_file(process + "/comm");
  if (!name || name->empty()) {
    return {};
  }
  return name->substr(0, std::min(name->find('\n'), channel::kMaxProcessName));
}

void name_owners(std::vector<ListeningEntry>& entries) {
  const Directory processes = open_directory("/proc");
  int budget = kMaxFilesLookedAt;
  for (const dirent* entry = nullptr;
       budget > 0 && processes && (entry = readdir(processes.get())) != nullptr;) {
    if (!parse_number(entry->d_name)) {
      continue;
    }
    const std::string process = std::string("/proc/") + entry->d_name;
    for (const std::uint64_t inode : sockets_of(process, budget)) {
      const auto owned = std::ranges::find(entries, inode, &ListeningEntry::inode);
      if (owned != entries.end() && owned->socket.process.empty()) {
        owned->socket.process = process_name(process);
      }
    }
  }
}

}  // namespace

std::vector<ListeningEntry> parse_listening(std::string_view table, std::string_view state) {
  std::vector<ListeningEntry> entries;
  for (const std::string_view line : split(table, '\n')) {
    if (entries.size() >= channel::kMaxListening) {
      break;
    }
    if (auto entry = parse_line(line, state)) {
      entries.push_back(*std::move(entry));
    }
  }
  return entries;
}

std::uint64_t socket_inode(std::string_view link) {
  constexpr std::string_view kPrefix = "socket:[";
  if (!link.starts_with(kPrefix) || !link.ends_with(']')) {
    return 0;
  }
  link.remove_prefix(kPrefix.size());
  link.remove_suffix(1);
  return parse_digits<std::uint64_t>(link, 10).value_or(0);
}

std::vector<std::uint64_t> sockets_of(const std::string& process, int& budget) {
  std::vector<std::uint64_t> inodes;
  const Directory files = open_directory(process + "/fd");
  --budget;
  for (const dirent* file = nullptr; files && (file = readdir(files.get())) != nullptr;) {
    --budget;
    std::array<char, 64> link{};
    const std::string path = process + "/fd/" + file->d_name;
    const ssize_t size = readlink(path.c_str(), link.data(), link.size());
    const std::uint64_t inode =
        size > 0 ? socket_inode({link.data(), static_cast<std::size_t>(size)}) : 0;
    if (inode != 0) {
      inodes.push_back(inode);
    }
  }
  return inodes;
}

channel::Listening find_listening() {
  std::vector<ListeningEntry> entries;
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    if (const auto table = read_file(path)) {
      const std::vector<ListeningEntry> found = parse_listening(*table);
      entries.insert(entries.end(), found.begin(), found.end());
    }
  }
  if (!entries.empty()) {
    name_owners(entries);
  }
  channel::Listening report;
  for (ListeningEntry& entry : entries) {
    report.sockets.push_back(std::move(entry.socket));
  }
  return report;
}

}  // namespace perigee::init
