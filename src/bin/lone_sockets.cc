#include "bin/lone_sockets.h"

#include <fcntl.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "supervisor/listeners.h"
#include "sys/socket_group.h"

namespace perigee::bin {
namespace {

constexpr int kBacklog = 4096;
constexpr const char* kVariable = "PERIGEE_HANDED_OVER";

using Handed = std::multimap<std::string, sys::Fd>;

Result<sys::Fd> copy(const sys::Fd& fd) {
  return sys::own(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0), "copy a listener");
}

// Those of that name; none: it was not handed over.
std::vector<sys::Fd> take(Handed& handed, const std::string& name) {
  std::vector<sys::Fd> out;
  for (auto [at, end] = handed.equal_range(name); at != end; ++at) {
    out.push_back(std::move(at->second));
  }
  handed.erase(name);
  return out;
}

}  // namespace

Result<LoneSockets> LoneSockets::open(const config::RouterConfig& config, std::size_t threads) {
  struct Listed {
    Kind kind;
    std::string_view name;
    const std::vector<std::string>& addresses;
  };
  TRY(Handed handed, supervisor::inherited_listeners(kVariable));
  LoneSockets out;
  for (const Listed& each :
       {Listed{Kind::http, "http", config.http}, Listed{Kind::https, "https", config.https},
        Listed{Kind::tcp, "tcp", config.tcp}, Listed{Kind::udp, "udp", config.udp}}) {
    for (const std::string& text : each.addresses) {
      TRY(const sys::Address address, sys::Address::parse(text));
      Group group{
          .kind = each.kind, .name = fmt::format("{} {}", each.name, address), .sockets = {}};
      group.sockets = take(handed, group.name);
      if (group.sockets.empty()) {
        TRY(group.sockets, each.kind == Kind::udp ? sys::datagram_group(address, threads)
                                                  : sys::listen_group(address, kBacklog, threads));
      }
      out.groups_.push_back(std::move(group));
    }
  }
  return out;
}

Result<router::Listeners> LoneSockets::listeners(sys::PosixHost& host, std::size_t number,
                                                 std::size_t threads) const {
  router::Listeners out;
  for (const Group& group : groups_) {
    const std::size_t size = group.sockets.size();
    if (group.kind == Kind::udp) {
      for (std::size_t i = number; i < size; i += threads) {
        TRY(sys::Fd fd, copy(group.sockets[i]));
        TRY(auto socket, host.adopt_datagrams(std::move(fd)));
        out.udp.push_back(std::move(socket));
      }
      continue;
    }
    auto& kind = group.kind == Kind::http    ? out.http
                 : group.kind == Kind::https ? out.https
                                             : out.tcp;
    // A thread that finds the group too small shares a socket with another.
    for (std::size_t i = number; i < std::max(size, threads); i += threads) {
      TRY(sys::Fd fd, copy(group.sockets[i % size]));
      TRY(auto listener, host.adopt_listener(std::move(fd)));
      kind.push_back(std::move(listener));
    }
  }
  return out;
}

void LoneSockets::pass_to(sys::Spawn& spawn) const {
  std::vector<supervisor::NamedDescriptor> ours;
  for (const Group& group : groups_) {
    for (const sys::Fd& each : group.sockets) ours.push_back({group.name, each.get()});
  }
  supervisor::pass_listeners(spawn, ours, kVariable);
}

}  // namespace perigee::bin
