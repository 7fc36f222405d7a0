#include "sys/forwarding.h"

#include <filesystem>
#include <string_view>

#include "sys/kernel_setting.h"

namespace perigee::sys {
namespace {

constexpr std::string_view kOn = "1";
constexpr std::string_view kAcceptAnyway = "2";  // router advertisements, though we forward

// "1" means: unless we forward.
Result<void> keep_router_advertisements(const std::string& interfaces) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(interfaces, error)) {
    const std::string setting = entry.path().string() + "/accept_ra";
    if (read_setting(setting) == kOn) TRY_VOID(write_setting(setting, kAcceptAnyway));
  }
  return {};
}

}  // namespace

// SAFETY: settings of this network namespace; needs CAP_NET_ADMIN.
Result<void> enable_forwarding(const std::string& root) {
  const std::string ipv4 = root + "/proc/sys/net/ipv4/ip_forward";
  if (read_setting(ipv4) != kOn) TRY_VOID(write_setting(ipv4, kOn));
  const std::string interfaces = root + "/proc/sys/net/ipv6/conf";
  const std::string ipv6 = interfaces + "/all/forwarding";
  if (!std::filesystem::exists(ipv6) || read_setting(ipv6) == kOn) return {};
  TRY_VOID(keep_router_advertisements(interfaces));
  return write_setting(ipv6, kOn);
}

}  // namespace perigee::sys
