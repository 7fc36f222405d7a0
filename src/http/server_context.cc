#include "http/server_context.h"

#include <fmt/format.h>
#include <time.h>

#include <array>

namespace perigee::http {
namespace {

std::string http_date(std::int64_t seconds) {
  const time_t t = seconds;
  std::tm broken{};
  ::gmtime_r(&t, &broken);
  constexpr std::array<const char*, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                     kDays[static_cast<std::size_t>(broken.tm_wday)], broken.tm_mday,
                     kMonths[static_cast<std::size_t>(broken.tm_mon)], broken.tm_year + 1900,
                     broken.tm_hour, broken.tm_min, broken.tm_sec);
}

}  // namespace

ServerContext::ServerContext(sys::Host& h, Handler& handler_, ServerLimits limits_)
    : host(h),
      handler(handler_),
      limits(limits_),
      draining(h.loop),
      idle(h.loop, limits_.idle_timeout),
      id_prefix_(sys::random_hex(h.entropy, 8)) {}

const std::string& ServerContext::date() {
  const std::int64_t second = host.clock.wall().ns / 1'000'000'000;
  if (second != date_second_) {
    date_second_ = second;
    date_ = http_date(second);
  }
  return date_;
}

std::string ServerContext::next_request_id() {
  return fmt::format("{}{:08x}", id_prefix_, ++id_count_);
}

}  // namespace perigee::http
