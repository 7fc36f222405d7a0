#include "router/affinity.h"

#include <fmt/format.h>

#include "base/text.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

// RFC 6265 section 4.2.1; "" where there is none.
std::string_view cookie(const http::Headers& headers, std::string_view wanted) {
  for (const auto& [field, value] : headers.fields()) {
    if (!iequals(field, "cookie")) continue;
    for (const std::string_view each : split(value, ';')) {
      const auto pair = split_once(trim(each), '=');
      if (pair && pair->first == wanted) return pair->second;
    }
  }
  return {};
}

}  // namespace

void prefer_former(const model::Affinity& affinity, const http::RequestHead& request,
                   routing::Wish& wish) {
  if (affinity.kind == model::AffinityKind::none || !wish.empty()) return;
  if (affinity.kind == model::AffinityKind::cookie) {
    const std::string_view machine = cookie(request.headers, affinity.name);
    if (machine.size() <= kMaxAffinityId) wish.machine = MachineId(std::string(machine));
    return;
  }
  const std::string_view* value = request.headers.find(affinity.name);
  if (value != nullptr) wish.key = *value;
}

std::optional<std::string> affinity_cookie(const model::Affinity& affinity,
                                           const http::RequestHead& request,
                                           const std::string& machine, CookieScope scope) {
  if (affinity.kind != model::AffinityKind::cookie) return std::nullopt;
  if (cookie(request.headers, affinity.name) == machine) return std::nullopt;
  return fmt::format("{}={}; Path=/; HttpOnly; SameSite=Lax{}", affinity.name, machine,
                     scope == CookieScope::tls_only ? "; Secure" : "");
}

}  // namespace perigee::router
