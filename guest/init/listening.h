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

struct ListeningEntry {
  channel::ListeningSocket socket;  // without its process
  std::uint64_t inode = 0;
  bool operator==(const ListeningEntry&) const = default;
};

// The listening sockets of one such table, at most channel::kMaxListening. Pure.
std::vector<ListeningEntry> parse_listening(std::string_view table);

// "socket:[1234]" → 1234; 0 for another kind of file.
std::uint64_t socket_inode(std::string_view link);

channel::Listening find_listening();

}  // namespace perigee::init
