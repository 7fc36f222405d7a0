#include "api/types.h"

namespace perigee::api {

const std::string& Call::param(std::string_view name) const {
  static const std::string kNone;
  for (const auto& [key, value] : params) {
    if (key == name) return value;
  }
  return kNone;
}

std::optional<std::string> Call::query(std::string_view name) const {
  return request.head.query(name);
}

bool Call::flag(std::string_view name) const {
  const auto value = query(name);
  return value && (value->empty() || *value == "1" || *value == "true");
}

}  // namespace perigee::api
