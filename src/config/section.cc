// The typed getters of a TOML section (toml.h): a wrong value is told with its file and line.
#include <algorithm>
#include <limits>

#include "base/text.h"
#include "config/toml.h"

namespace perigee::config {
namespace {

// Edit distance, for "did you mean".
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string nearest(std::string_view key, const std::set<std::string, std::less<>>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, key.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t d = distance(key, candidate);
    if (d < best_distance) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace

std::string_view TomlValue::type_name() const {
  struct Visitor {
    std::string_view operator()(const std::string&) const { return "a string"; }
    std::string_view operator()(std::int64_t) const { return "a whole number"; }
    std::string_view operator()(double) const { return "a number"; }
    std::string_view operator()(bool) const { return "true or false"; }
    std::string_view operator()(const TomlArray&) const { return "a list"; }
    std::string_view operator()(const TomlTable&) const { return "a table"; }
  };
  return std::visit(Visitor{}, data);
}

std::string toml_quoted(std::string_view text) {
  constexpr unsigned char kFirstPrintable = 0x20;
  constexpr char kDelete = 0x7f;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < kFirstPrintable || c == kDelete) {
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::unexpected<Error> Reading::wrong(int line, std::string_view what) const {
  return fail(Code::invalid_argument, "{}:{}: {}", file, line, what);
}

void Reading::warn(int line, std::string_view what) {
  warnings.push_back(fmt::format("{}:{}: {}", file, line, what));
}

Section::Section(Reading& reading, const TomlValue& value, std::string path)
    : reading_(&reading), table_(value.table()), line_(value.line), path_(std::move(path)) {}

std::string Section::name_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

bool Section::has(std::string_view key) const {
  return table_->contains(std::string(key));
}

int Section::line(std::string_view key) const {
  const auto at = table_->find(std::string(key));
  return at == table_->end() ? line_ : at->second.line;
}

std::unexpected<Error> Section::wrong(std::string_view key, std::string_view what) const {
  return reading_->wrong(line(key), fmt::format("{}: {}", name_of(key), what));
}

const TomlValue* Section::value(std::string_view key) {
  known_.emplace(key);
  const auto at = table_->find(std::string(key));
  return at == table_->end() ? nullptr : &at->second;
}

Result<std::optional<std::string>> Section::string(std::string_view key) {
  const TomlValue* found = value(key);
  if (found == nullptr) return std::nullopt;
  if (const std::string* text = found->string()) return *text;
  return wrong(key, fmt::format("expected a string, found {}", found->type_name()));
}

Result<std::optional<std::int64_t>> Section::integer(std::string_view key, std::int64_t min,
                                                     std::int64_t max) {
  const TomlValue* found = value(key);
  if (found == nullptr) return std::nullopt;
  const auto* number = std::get_if<std::int64_t>(&found->data);
  if (number == nullptr) {
    return wrong(key, fmt::format("expected a whole number, found {}", found->type_name()));
  }
  if (*number < min || *number > max) {
    return wrong(key, fmt::format("{} is not from {} to {}", *number, min, max));
  }
  return *number;
}

Result<std::optional<bool>> Section::boolean(std::string_view key) {
  const TomlValue* found = value(key);
  if (found == nullptr) return std::nullopt;
  if (const auto* flag = std::get_if<bool>(&found->data)) return *flag;
  return wrong(key, fmt::format("expected true or false, found {}", found->type_name()));
}

Result<std::optional<std::vector<std::string>>> Section::strings(std::string_view key) {
  const TomlValue* found = value(key);
  if (found == nullptr) return std::nullopt;
  const TomlArray* items = found->array();
  if (items == nullptr) {
    return wrong(key, fmt::format("expected a list of strings, found {}", found->type_name()));
  }
  std::vector<std::string> out;
  for (const TomlValue& item : *items) {
    if (item.string() == nullptr) {
      return wrong(key,
                   fmt::format("expected a list of strings, found {} in it", item.type_name()));
    }
    out.push_back(*item.string());
  }
  return out;
}

Result<std::optional<Duration>> Section::duration(std::string_view key) {
  const TomlValue* found = value(key);
  if (found == nullptr) return std::nullopt;
  constexpr std::int64_t kMaxSeconds = 1'000'000'000;
  if (const auto* seconds = std::get_if<std::int64_t>(&found->data)) {
    if (*seconds < 0 || *seconds > kMaxSeconds) return wrong(key, "expected a duration such as 5s");
    return Duration(std::chrono::seconds(*seconds));
  }
  if (found->string() == nullptr) {
    return wrong(key,
                 fmt::format("expected a duration such as \"5s\", found {}", found->type_name()));
  }
  const auto parsed = parse_duration(*found->string());
  if (!parsed) return wrong(key, parsed.error().context);
  return *parsed;
}

Result<std::vector<std::pair<std::string, std::string>>> Section::string_map(std::string_view key) {
  std::vector<std::pair<std::string, std::string>> out;
  const TomlValue* found = value(key);
  if (found == nullptr) return out;
  if (found->table() == nullptr) {
    return wrong(key, fmt::format("expected a table, found {}", found->type_name()));
  }
  for (const auto& [name, item] : *found->table()) {
    if (item.string() == nullptr) {
      return reading_->wrong(item.line,
                             fmt::format("{}.{}: expected a string, found {} (put it in quotes)",
                                         name_of(key), name, item.type_name()));
    }
    out.emplace_back(name, *item.string());
  }
  return out;
}

Result<std::optional<Section>> Section::section(std::string_view key) {
  const TomlValue* found = value(key);
  if (found == nullptr) return std::nullopt;
  if (found->table() == nullptr) {
    return wrong(key, fmt::format("expected a table, found {}", found->type_name()));
  }
  return Section(*reading_, *found, name_of(key));
}

Result<std::vector<Section>> Section::sections(std::string_view key) {
  std::vector<Section> out;
  const TomlValue* found = value(key);
  if (found == nullptr) return out;
  if (found->table() != nullptr) {
    out.emplace_back(*reading_, *found, name_of(key));
    return out;
  }
  if (found->array() == nullptr) {
    return wrong(key, fmt::format("expected [[{}]], found {}", name_of(key), found->type_name()));
  }
  for (const TomlValue& item : *found->array()) {
    if (item.table() == nullptr) {
      return wrong(key,
                   fmt::format("expected [[{}]], found {} in it", name_of(key), item.type_name()));
    }
    out.emplace_back(*reading_, item, name_of(key));
  }
  return out;
}

Result<void> Section::refuse(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys) {
    if (!has(key)) continue;
    return fail(Code::unsupported, "{}:{}: {} is not yet supported", reading_->file, line(key),
                name_of(key));
  }
  return {};
}

void Section::warn_unknown() {
  for (const auto& [key, found] : *table_) {
    if (known_.contains(key)) continue;
    const std::string guess = nearest(key, known_);
    reading_->warn(found.line,
                   fmt::format("unknown key '{}' is ignored{}", name_of(key),
                               guess.empty() ? "" : fmt::format(" (did you mean '{}'?)", guess)));
  }
}

}  // namespace perigee::config
