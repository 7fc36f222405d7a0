#include "sys/netlink_socket.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>

namespace perigee::sys {
namespace {

constexpr std::size_t kReceiveBuffer = 64 * 1024;

// What stands in a datagram of several messages; false where `take` has seen enough.
template <typename F>
bool for_each_message(std::string_view datagram, F take) {
  while (datagram.size() >= sizeof(nlmsghdr)) {
    const auto header = read_as<nlmsghdr>(datagram);
    if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > datagram.size()) return true;
    if (!take(header, datagram.substr(NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN))) return false;
    datagram = skip(datagram, NLMSG_ALIGN(header.nlmsg_len));
  }
  return true;
}

Result<void> answer(std::string_view payload, std::string_view what) {
  const int error = read_as<nlmsgerr>(payload).error;
  if (error != 0) return fail(errno_error(-error, what));
  return {};
}

}  // namespace

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
  TRY(Fd fd, own(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), "netlink socket"));
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) < 0) {
    return fail(errno_error(errno, "bind netlink socket"));
  }
  NetlinkSocket socket(std::move(fd));
  socket.buffer_.resize(kReceiveBuffer);
  return socket;
}

Result<void> NetlinkSocket::send(const std::string& message, std::string_view what) {
  if (::send(fd_.get(), message.data(), message.size(), 0) < 0) {
    return fail(errno_error(errno, what));
  }
  return {};
}

Result<std::string_view> NetlinkSocket::receive(std::string_view what) {
  for (;;) {
    const ssize_t n = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, what));
    return std::string_view(buffer_).substr(0, static_cast<std::size_t>(n));
  }
}

Result<void> NetlinkSocket::request(const NetlinkMessage& message, std::string_view what) {
  TRY_VOID(send(message.finish(NLM_F_REQUEST | NLM_F_ACK, ++sequence_), what));
  for (;;) {
    TRY(const std::string_view datagram, receive(what));
    const auto header = read_as<nlmsghdr>(datagram);
    if (header.nlmsg_seq != sequence_ || header.nlmsg_type != NLMSG_ERROR) continue;
    return answer(skip(datagram, NLMSG_HDRLEN), what);
  }
}

Result<void> NetlinkSocket::dump(const NetlinkMessage& message, std::uint16_t wanted,
                                 std::string_view what,
                                 const std::function<void(std::string_view)>& take) {
  TRY_VOID(send(message.finish(NLM_F_REQUEST | NLM_F_DUMP, ++sequence_), what));
  Result<void> result;
  bool more = true;
  while (more) {
    TRY(const std::string_view datagram, receive(what));
    more = for_each_message(datagram, [&](const nlmsghdr& header, std::string_view payload) {
      if (header.nlmsg_seq != sequence_) return true;
      if (header.nlmsg_type == NLMSG_DONE) return false;
      if (header.nlmsg_type == NLMSG_ERROR) {
        result = answer(payload, what);
        return false;
      }
      if (header.nlmsg_type == wanted) take(payload);
      return true;
    });
  }
  return result;
}

Result<GenericNetlink> GenericNetlink::open(const std::string& family) {
  TRY(NetlinkSocket socket, NetlinkSocket::open(NETLINK_GENERIC));
  const genlmsghdr body{.cmd = CTRL_CMD_GETFAMILY, .version = 1, .reserved = 0};
  const NetlinkMessage list(GENL_ID_CTRL, 0, body);
  std::uint16_t number = 0;
  TRY_VOID(socket.dump(list, GENL_ID_CTRL, "list netlink families", [&](std::string_view payload) {
    std::string name;
    std::uint16_t id = 0;
    for_each_attribute(skip(payload, GENL_HDRLEN), [&](unsigned type, std::string_view value) {
      if (type == CTRL_ATTR_FAMILY_NAME) name = value.substr(0, value.find('\0'));
      if (type == CTRL_ATTR_FAMILY_ID) id = read_as<std::uint16_t>(value);
    });
    if (name == family) number = id;
  }));
  if (number == 0) return fail(Code::unsupported, "this kernel has no netlink family {}", family);
  return GenericNetlink(std::move(socket), number);
}

}  // namespace perigee::sys
