#include "router/challenge_page.h"

#include <algorithm>

#include "router/entrance.h"

namespace perigee::router {

std::optional<std::string> challenge_page(const routing::RouteTable& table,
                                          const http::Request& request) {
  constexpr std::string_view kPrefix = "/.well-known/acme-challenge/";
  const std::string_view path = request.head.path();
  if (request.head.method != "GET" || !path.starts_with(kPrefix)) return std::nullopt;
  const std::string host = host_of(request);
  const routing::RoutePtr route = table.find_host(host);
  if (route == nullptr) return std::nullopt;
  const auto found = std::ranges::find_if(route->challenges, [&](const auto& each) {
    return each.type == model::ChallengeType::http_01 && each.host == host &&
           each.token == path.substr(kPrefix.size());
  });
  if (found == route->challenges.end()) return std::nullopt;
  return found->answer;
}

}  // namespace perigee::router
