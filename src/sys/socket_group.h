// Sockets of one address among which the kernel spreads what comes, by the addresses of both ends
// (SO_REUSEPORT): one for each thread. One alone is an ordinary socket.
#pragma once

#include <cstddef>
#include <vector>

#include "base/result.h"
#include "sys/address.h"
#include "sys/fd.h"

namespace perigee::sys {

enum class Sharing { alone, group };

Result<std::vector<Fd>> listen_group(const Address& at, int backlog, std::size_t size);
// Of UDP, as datagram_socket() opens them.
Result<std::vector<Fd>> datagram_group(const Address& at, std::size_t size);

}  // namespace perigee::sys
