#include "bin/lone_sockets.h"

#include <fcntl.h>

#include <map>
#include <string_view>

#include "supervisor/listeners.h"

namespace perigee::bin {
namespace {

constexpr int kBacklog = 4096;
constexpr const char* kVariable = "PERIGEE_HANDED_OVER";

Result<sys::Fd> copy(const sys::Fd& fd) {
  return sys::own(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0), "copy a listener");
}

}  // namespace

Result<LoneSockets> LoneSockets::open(const config::RouterConfig& config) {
  struct Listed {
    Kind kind;
    std::string_view name;
    const std::vector<std::string>& addresses;
  };
  TRY(auto inherited, supervisor::inherited_listeners(kVariable));
  LoneSockets out;
  for (const Listed& each :
       {Listed{Kind::http, "http", config.http}, Listed{Kind::https, "https", config.https},
        Listed{Kind::tcp, "tcp", config.tcp}, Listed{Kind::udp, "udp", config.udp}}) {
    for (const std::string& text : each.addresses) {
      TRY(const sys::Address address, sys::Address::parse(text));
      Socket socket{.kind = each.kind, .name = fmt::format("{} {}", each.name, address), .fd = {}};
      if (const auto found = inherited.find(socket.name); found != inherited.end()) {
        socket.fd = std::move(found->second);
        inherited.erase(found);
      } else if (each.kind == Kind::udp) {
        TRY(socket.fd, sys::datagram_socket(address));
      } else {
        TRY(socket.fd, sys::listen_socket(address, kBacklog));
      }
      out.sockets_.push_back(std::move(socket));
    }
  }
  return out;
}

Result<router::Listeners> LoneSockets::listeners(sys::PosixHost& host) const {
  router::Listeners out;
  for (const Socket& each : sockets_) {
    TRY(sys::Fd fd, copy(each.fd));
    if (each.kind == Kind::udp) {
      TRY(auto socket, host.adopt_datagrams(std::move(fd)));
      out.udp.push_back(std::move(socket));
      continue;
    }
    TRY(auto listener, host.adopt_listener(std::move(fd)));
    auto& kind = each.kind == Kind::http    ? out.http
                 : each.kind == Kind::https ? out.https
                                            : out.tcp;
    kind.push_back(std::move(listener));
  }
  return out;
}

void LoneSockets::pass_to(sys::Spawn& spawn) const {
  std::vector<supervisor::NamedDescriptor> ours;
  for (const Socket& each : sockets_) ours.push_back({each.name, each.fd.get()});
  supervisor::pass_listeners(spawn, ours, kVariable);
}

}  // namespace perigee::bin
