// The one file that sees the TOML library.
#include "config/toml.h"

#include <toml++/toml.h>

namespace perigee::config {
namespace {

constexpr int kMaxDepth = 32;

Result<TomlValue> convert(const toml::node& node, std::string_view file, int depth);

Result<TomlArray> convert_array(const toml::array& array, std::string_view file, int depth) {
  TomlArray out;
  for (const toml::node& item : array) {
    TRY(TomlValue value, convert(item, file, depth + 1));
    out.push_back(std::move(value));
  }
  return out;
}

Result<TomlTable> convert_table(const toml::table& table, std::string_view file, int depth) {
  TomlTable out;
  for (const auto& [key, item] : table) {
    TRY(TomlValue value, convert(item, file, depth + 1));
    // A table's own position is its first line; members of inline tables know theirs.
    out.emplace(std::string(key.str()), std::move(value));
  }
  return out;
}

Result<TomlValue> convert(const toml::node& node, std::string_view file, int depth) {
  TomlValue out;
  out.line = static_cast<int>(node.source().begin.line);
  if (depth > kMaxDepth) {
    return fail(Code::invalid_argument, "{}:{}: nested deeper than {} levels", file, out.line,
                kMaxDepth);
  }
  if (const auto* table = node.as_table()) {
    TRY(out.data, convert_table(*table, file, depth));
  } else if (const auto* array = node.as_array()) {
    TRY(out.data, convert_array(*array, file, depth));
  } else if (const auto* text = node.as_string()) {
    out.data = text->get();
  } else if (const auto* whole = node.as_integer()) {
    out.data = whole->get();
  } else if (const auto* real = node.as_floating_point()) {
    out.data = real->get();
  } else if (const auto* flag = node.as_boolean()) {
    out.data = flag->get();
  } else {
    return fail(Code::invalid_argument, "{}:{}: dates and times have no meaning here", file,
                out.line);
  }
  return out;
}

}  // namespace

Result<TomlValue> parse_toml(std::string_view text, std::string_view file) {
  try {
    const toml::table root = toml::parse(text);
    return convert(root, file, 0);
  } catch (const toml::parse_error& error) {
    return fail(Code::invalid_argument, "{}:{}: {}", file, error.source().begin.line,
                error.description());
  }
}

}  // namespace perigee::config
