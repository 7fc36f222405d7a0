// Pieces that the JSON files of the model share: enums by name, bounded numbers, lists. Private to
// model.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "model/types.h"

namespace perigee::model {

template <typename E, std::size_t N>
using EnumNames = std::array<std::pair<E, std::string_view>, N>;

template <typename E, std::size_t N>
std::string_view name_of(const EnumNames<E, N>& names, E value) {
  for (const auto& [each, name] : names) {
    if (each == value) return name;
  }
  return "";
}

template <typename E, std::size_t N>
Result<E> parse_enum(const EnumNames<E, N>& names, std::string_view text) {
  std::string known;
  for (const auto& [value, name] : names) {
    if (name == text) return value;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  return fail(Code::invalid_argument, "'{}' is not one of {}", text, known);
}

template <typename E, std::size_t N>
Result<E> enum_in(const EnumNames<E, N>& names, const json::Value& value, std::string_view key,
                  E fallback) {
  TRY(const std::string text, value.optional_string(key));
  if (text.empty()) return fallback;
  TRY_AS(const E parsed, parse_enum(names, text), key);
  return parsed;
}

inline Result<int> int_in(const json::Value& value, std::string_view key, int fallback, int min,
                          int max) {
  TRY(const std::int64_t number, value.optional_int(key, fallback));
  if (number < min || number > max) {
    return fail(Code::invalid_argument, "{}: {} is not from {} to {}", key, number, min, max);
  }
  return static_cast<int>(number);
}

// In json_port.cc.
json::Value to_json(const Port& port);
Result<Port> port_from(const json::Value& value);
Result<Protocol> protocol_in(const json::Value& service);

// In json_volume.cc.
json::Value to_json(const Mount& mount);
Result<Mount> mount_from(const json::Value& value);
Result<void> validate_mount(const Mount& mount);

// Each item of the list `key` through `read`; an error names the item: "services[2].ports: …".
template <typename T, typename F>
Result<std::vector<T>> list_of(const json::Value& value, std::string_view key, std::size_t max,
                               F read) {
  std::vector<T> out;
  const json::Value* member = value.find(key);
  if (member == nullptr || member->is_null()) return out;
  if (!member->is_array()) return fail(Code::invalid_argument, "{}: expected a list", key);
  if (member->items().size() > max) {
    return fail(Code::invalid_argument, "{}: more than {} items", key, max);
  }
  for (const json::Value& item : member->items()) {
    TRY_AS(T one, read(item), fmt::format("{}[{}]", key, out.size()));
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace perigee::model
