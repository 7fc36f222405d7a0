#include "sys/netlink_message.h"

#include <linux/netlink.h>

namespace perigee::sys {
namespace {

std::string_view bytes_of(const auto& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace

NetlinkMessage::NetlinkMessage(std::uint16_t type, unsigned flags, std::string_view body) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(flags);
  bytes_ = bytes_of(header);
  bytes_ += body;
  pad();
}

void NetlinkMessage::pad() {
  bytes_.resize(NLMSG_ALIGN(bytes_.size()), '\0');
}

void NetlinkMessage::add(unsigned type, std::string_view value) {
  nlattr header{};
  header.nla_len = static_cast<std::uint16_t>(NLA_HDRLEN + value.size());
  header.nla_type = static_cast<std::uint16_t>(type);
  bytes_ += bytes_of(header);
  bytes_ += value;
  pad();
}

void NetlinkMessage::add_text(unsigned type, std::string_view text) {
  std::string value(text);
  value.push_back('\0');
  add(type, value);
}

std::size_t NetlinkMessage::begin_nested(unsigned type) {
  const std::size_t begin = bytes_.size();
  add(type | NLA_F_NESTED, std::string_view());
  return begin;
}

void NetlinkMessage::end_nested(std::size_t begin) {
  const auto length = static_cast<std::uint16_t>(bytes_.size() - begin);
  std::memcpy(bytes_.data() + begin, &length, sizeof length);  // nla_len is the first field
}

std::string NetlinkMessage::finish(unsigned more_flags, std::uint32_t sequence) const {
  std::string out = bytes_;
  auto header = read_as<nlmsghdr>(out);
  header.nlmsg_len = static_cast<std::uint32_t>(out.size());
  header.nlmsg_flags = static_cast<std::uint16_t>(header.nlmsg_flags | more_flags);
  header.nlmsg_seq = sequence;
  std::memcpy(out.data(), &header, sizeof header);
  return out;
}

std::string_view skip(std::string_view bytes, std::size_t count) {
  return bytes.substr(std::min(bytes.size(), count));
}

void for_each_attribute(std::string_view attributes,
                        const std::function<void(unsigned, std::string_view)>& take) {
  while (attributes.size() >= NLA_HDRLEN) {
    const auto header = read_as<nlattr>(attributes);
    if (header.nla_len < NLA_HDRLEN || header.nla_len > attributes.size()) return;
    take(header.nla_type & NLA_TYPE_MASK,
         attributes.substr(NLA_HDRLEN, header.nla_len - static_cast<std::size_t>(NLA_HDRLEN)));
    attributes = skip(attributes, NLA_ALIGN(header.nla_len));
  }
}

}  // namespace perigee::sys
