// What the guest listens on, for the host to tell an app's owner who expected something else:
// /proc/net/tcp and tcp6, with the names of the owners as far as a bounded look through /proc finds
// them. Used by Supervisor, only when the host asks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "channel/types.h"

namespace perigee::init {

inline constexpr int kMaxFilesLookedAt = 20'000;  // descriptors, for one report

struct ListeningEntry {
  channel::ListeningSocket socket;  // without its process
  std::uint64_t inode = 0;
  bool operator==(const ListeningEntry&) const = default;
};

// State of a row, as the kernel prints it: a TCP socket that listens, a UDP socket without a peer.
inline constexpr std::string_view kTcpListens = "0A";
inline constexpr std::string_view kUdpOpen = "07";
// The sockets of one such table that are in `state`, at most channel::kMaxListening. Pure.
std::vector<ListeningEntry> parse_listening(std::string_view table,
                                            std::string_view state = kTcpListens);

// "socket:[1234]" → 1234; 0 for another kind of file.
std::uint64_t socket_inode(std::string_view link);

channel::Listening find_listening();

// The inodes of the sockets among the descriptors of /proc/PID; `budget` falls by what was looked
// at.
std::vector<std::uint64_t> sockets_of(const std::string& process, int& budget);

}  // namespace perigee::init
