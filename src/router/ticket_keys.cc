#include "router/ticket_keys.h"

#include <fmt/core.h>

namespace perigee::router {
namespace {

void add(std::vector<crypto::TicketKey>& out, const secrets::KindKeys& keys, std::int64_t period) {
  const auto derived = [&](std::string_view part) {
    return keys.derive(fmt::format("session ticket {} {}", part, period));
  };
  const std::vector<std::string> names = derived("name");
  std::vector<std::string> ciphers = derived("cipher");
  std::vector<std::string> macs = derived("mac");
  for (std::size_t i = 0; i < names.size(); ++i) {
    out.push_back({.name = names[i].substr(0, crypto::kTicketNameBytes),
                   .cipher = std::move(ciphers[i]),
                   .mac = std::move(macs[i])});
  }
}

}  // namespace

std::vector<crypto::TicketKey> ticket_keys(const secrets::KindKeys& keys, WallTime now) {
  const std::int64_t period = now.ns / std::chrono::nanoseconds(kTicketPeriod).count();
  std::vector<crypto::TicketKey> out;
  for (const std::int64_t each : {period, period - 1, period + 1}) add(out, keys, each);
  return out;
}

}  // namespace perigee::router
