#include "sys/long_paths.h"

#include <cstdint>
#include <limits>

#include "base/text.h"
#include "sys/kernel_setting.h"

namespace perigee::sys {
namespace {

// A setting of three sizes: the least, the first and the most that a connection gets.
Result<void> raise_most(const std::string& path) {
  const std::string sizes = read_setting(path);
  const std::size_t last = sizes.find_last_of(" \t") + 1;
  const auto most =
      parse_uint(std::string_view(sizes).substr(last), std::numeric_limits<std::int64_t>::max());
  if (last == 0 || !most) return fail(Code::unsupported, "{}: '{}' is no range", path, sizes);
  if (*most >= kLongPathBuffer) return {};
  return write_setting(path, fmt::format("{}{}", sizes.substr(0, last), kLongPathBuffer));
}

}  // namespace

Result<void> prepare_for_long_paths(const std::string& root) {
  const std::string settings = root + "/proc/sys/net/ipv4/";  // of TCP over IPv6 too
  TRY_VOID(raise_most(settings + "tcp_wmem"));
  TRY_VOID(raise_most(settings + "tcp_rmem"));
  const std::string restart = settings + "tcp_slow_start_after_idle";
  if (read_setting(restart) == "0") return {};
  return write_setting(restart, "0");
}

}  // namespace perigee::sys
