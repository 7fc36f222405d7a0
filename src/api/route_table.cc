#include "api/route_table.h"

#include <algorithm>

#include "base/text.h"

namespace perigee::api {
namespace {

using Params = std::vector<std::pair<std::string, std::string>>;

std::vector<std::string> segments(std::string_view path) {
  std::vector<std::string> out;
  for (const std::string_view part : split(path, '/')) out.emplace_back(part);
  return out;
}

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

std::optional<Params> fit(const std::vector<std::string>& pattern,
                          const std::vector<std::string>& path) {
  if (pattern.size() != path.size()) return std::nullopt;
  Params params;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (is_parameter(pattern[i])) {
      if (path[i].empty()) return std::nullopt;
      params.emplace_back(pattern[i].substr(1, pattern[i].size() - 2),
                          http::percent_decode(path[i]));
    } else if (pattern[i] != path[i]) {
      return std::nullopt;
    }
  }
  return params;
}

}  // namespace

void RouteTable::add(std::string method, std::string_view pattern, Guard guard,
                     std::variant<Answer, Streamer> function) {
  routes_.push_back({std::move(method), segments(pattern), std::move(guard), std::move(function)});
}

void RouteTable::answer(std::string method, std::string_view pattern, Guard guard,
                        Answer function) {
  add(std::move(method), pattern, std::move(guard), std::move(function));
}

void RouteTable::stream(std::string method, std::string_view pattern, Guard guard,
                        Streamer function) {
  add(std::move(method), pattern, std::move(guard), std::move(function));
}

RouteTable::Match RouteTable::match(std::string_view method, std::string_view path) const {
  const std::vector<std::string> parts = segments(path);
  Match best;
  for (const Route& route : routes_) {
    std::optional<Params> params = fit(route.pattern, parts);
    if (!params) continue;
    if (route.method != method) {
      if (std::ranges::count(best.allowed, route.method) == 0) best.allowed.push_back(route.method);
      continue;
    }
    if (best.route != nullptr && best.params.size() <= params->size()) continue;
    best.route = &route;
    best.params = *std::move(params);
  }
  if (best.route != nullptr) best.allowed.clear();
  return best;
}

}  // namespace perigee::api
