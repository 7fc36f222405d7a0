#include "http/client_slots.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <span>

namespace perigee::http {

ClientSlots::Slot::~Slot() {
  if (owner_ == nullptr) return;
  const auto found = owner_->counts_.find(client_);
  if (--found->second == 0) owner_->counts_.erase(found);
}

ClientSlots::Slot ClientSlots::take(const sys::Address& client) {
  const bool exempt = loopback_ == Loopback::exempt && client.is_loopback();
  if (max_ == 0 || client.is_unix() || exempt) return {nullptr, {}, true};
  std::string key = client_network(client);
  std::size_t& count = counts_[key];
  if (count >= max_) return {nullptr, {}, false};
  ++count;
  return {this, std::move(key), true};
}

std::string client_network(const sys::Address& client) {
  if (!client.is_ipv6()) return client.host();
  const auto* raw = reinterpret_cast<const sockaddr_in6*>(client.raw());
  const auto bytes = std::span(raw->sin6_addr.s6_addr);
  std::string out;
  for (std::size_t i = 0; i < 8; i += 2) {
    fmt::format_to(std::back_inserter(out), "{:x}:", bytes[i] << 8 | bytes[i + 1]);
  }
  return out + ":/64";
}

}  // namespace perigee::http
