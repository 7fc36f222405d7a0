#include "worker/listen_advice.h"

#include <algorithm>

#include "base/text.h"

namespace perigee::worker {
namespace {

constexpr std::size_t kMaxNamed = 4;  // in a sentence

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.");
}

std::string name_of(const vm::ListeningSocket& socket) {
  const bool v6 = socket.address.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", socket.address, socket.port)
            : fmt::format("{}:{}", socket.address, socket.port);
}

template <typename Name>
std::string list_of(const std::vector<vm::ListeningSocket>& sockets, Name name) {
  std::vector<std::string> names;
  for (const vm::ListeningSocket& socket : sockets) {
    if (names.size() < kMaxNamed) names.push_back(name(socket));
  }
  if (sockets.size() > kMaxNamed) {
    names.push_back(fmt::format("{} more", sockets.size() - kMaxNamed));
  }
  return join(names, ", ");
}

// Where the app could be reached at a port of its own choice, or could be once it binds otherwise.
std::string other_port(const vm::ListeningSocket& socket) {
  return is_loopback(socket.address)
             ? fmt::format("bind 0.0.0.0:{} and set internal_port = {}", socket.port, socket.port)
             : fmt::format("set internal_port = {}", socket.port);
}

}  // namespace

std::string describe_sockets(const std::vector<vm::ListeningSocket>& sockets) {
  return list_of(sockets, [](const vm::ListeningSocket& socket) {
    return socket.process.empty() ? name_of(socket)
                                  : fmt::format("{} ({})", name_of(socket), socket.process);
  });
}

std::string listen_advice(int port, const std::vector<vm::ListeningSocket>& sockets) {
  if (sockets.empty()) {
    return fmt::format(
        "nothing is listening on port {0}; the app listens on no port at all (let it bind "
        "0.0.0.0:{0})",
        port);
  }
  const std::string listens = list_of(sockets, name_of);
  const auto here = std::ranges::find(sockets, port, &vm::ListeningSocket::port);
  if (here == sockets.end()) {
    return fmt::format(
        "nothing is listening on port {0}; the app listens on {1} (bind 0.0.0.0:{0}, or {2})", port,
        listens, other_port(sockets.front()));
  }
  const bool reachable = std::ranges::any_of(sockets, [&](const vm::ListeningSocket& socket) {
    return socket.port == port && !is_loopback(socket.address);
  });
  if (!reachable) {
    return fmt::format(
        "nothing is listening on port {0} for others; the app listens on {1} (bind 0.0.0.0:{0})",
        port, listens);
  }
  return fmt::format(
      "port {} does not accept connections although the app listens on {} (it hangs, or its "
      "backlog is full)",
      port, listens);
}

}  // namespace perigee::worker
