// NetlinkSocket: one conversation with the kernel over netlink, one request at a time, answered
// before the call returns: short enough for any thread.
//
// Used by Netlink (rtnetlink) and GenericNetlink (families such as "wireguard"). It speaks for the
// network namespace of the thread that opened it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sys/fd.h"
#include "sys/netlink_message.h"

namespace perigee::sys {

class NetlinkSocket {
 public:
  static Result<NetlinkSocket> open(int protocol);  // NETLINK_ROUTE, NETLINK_GENERIC

  // Waits for the kernel's yes or no; `what` is put in front of its no.
  Result<void> request(const NetlinkMessage& message, std::string_view what);
  // All messages of type `wanted` that answer a dump, each without its netlink header.
  Result<void> dump(const NetlinkMessage& message, std::uint16_t wanted, std::string_view what,
                    const std::function<void(std::string_view payload)>& take);

 private:
  explicit NetlinkSocket(Fd fd) : fd_(std::move(fd)) {}
  Result<void> send(const std::string& message, std::string_view what);
  Result<std::string_view> receive(std::string_view what);

  Fd fd_;
  std::uint32_t sequence_ = 0;
  std::string buffer_;
};

// Generic netlink: families have names, to which the kernel gives numbers.
class GenericNetlink {
 public:
  // `unsupported` where the kernel knows no such family.
  static Result<GenericNetlink> open(const std::string& family);

  // To begin a message of the family with: {family(), command, version}.
  std::uint16_t family() const { return family_; }
  NetlinkSocket& socket() { return socket_; }

 private:
  GenericNetlink(NetlinkSocket socket, std::uint16_t family)
      : socket_(std::move(socket)), family_(family) {}

  NetlinkSocket socket_;
  std::uint16_t family_;
};

}  // namespace perigee::sys
