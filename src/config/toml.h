// TOML documents (v1.0) as a tree that remembers lines, so that every complaint names file and
// line.
//
// The TOML library is seen by toml.cc alone. Readers are made with Section (below): it hands out
// members by name and type, and afterwards tells which members nobody asked for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace perigee::config {

struct TomlValue;
using TomlTable = std::map<std::string, TomlValue>;
using TomlArray = std::vector<TomlValue>;

struct TomlValue {
  int line = 0;
  std::variant<std::string, std::int64_t, double, bool, TomlArray, TomlTable> data;

  const TomlTable* table() const { return std::get_if<TomlTable>(&data); }
  const TomlArray* array() const { return std::get_if<TomlArray>(&data); }
  const std::string* string() const { return std::get_if<std::string>(&data); }
  std::string_view type_name() const;  // "a string", "a whole number", …
};

// `file` is the name used in errors: "perigee.toml:12: expected …".
Result<TomlValue> parse_toml(std::string_view text, std::string_view file);

// `text` as a TOML basic string, quotes included.
std::string toml_quoted(std::string_view text);

// What a document's reader shares: the file's name and the warnings so far.
struct Reading {
  std::string file;
  std::vector<std::string> warnings;

  std::unexpected<Error> wrong(int line, std::string_view what) const;
  void warn(int line, std::string_view what);
};

// One table while it is read.
class Section {
 public:
  // `path` as it stands in the file: "http_service.concurrency"; empty for the top.
  Section(Reading& reading, const TomlValue& value, std::string path);

  bool has(std::string_view key) const;
  int line(std::string_view key) const;
  Result<std::optional<std::string>> string(std::string_view key);
  Result<std::optional<std::int64_t>> integer(std::string_view key, std::int64_t min,
                                              std::int64_t max);
  Result<std::optional<bool>> boolean(std::string_view key);
  Result<std::optional<std::vector<std::string>>> strings(std::string_view key);
  Result<std::optional<Duration>> duration(std::string_view key);  // "5s", or seconds as a number
  // Members of a table of strings, in order of name.
  Result<std::vector<std::pair<std::string, std::string>>> string_map(std::string_view key);
  // A sub-table, or a list of them ([[key]]; one [key] counts as a list of one).
  Result<std::optional<Section>> section(std::string_view key);
  Result<std::vector<Section>> sections(std::string_view key);
  // The value whatever its type; counts as asked for.
  const TomlValue* value(std::string_view key);

  // Members that mean something later but not yet: an error where one is there.
  Result<void> refuse(std::initializer_list<std::string_view> keys) const;
  // Warns of each member that no call above asked for, naming the nearest known one.
  void warn_unknown();
  std::unexpected<Error> wrong(std::string_view key, std::string_view what) const;
  Reading& reading() const { return *reading_; }

 private:
  std::string name_of(std::string_view key) const;

  Reading* reading_;
  const TomlTable* table_;
  int line_;
  std::string path_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace perigee::config
