// JSON values (RFC 8259): parse untrusted text, read members with errors that name the path, write.
//
//   TRY(json::Value doc, json::parse(body));
//   TRY(std::string name, doc.require_string("name"));           // "name: missing" / "name:
//   expected a string" TRY(std::int64_t cpus, doc.optional_int("cpus", 1)); json::Value out =
//   json::object({{"id", id.str()}, {"state", "started"}}); std::string text = out.dump();
//
// Objects keep the order of insertion. Bounds: 64 levels deep, size is the caller's to bound.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace perigee::json {

class Value;
using Array = std::vector<Value>;
using Member = std::pair<std::string, Value>;
using Object = std::vector<Member>;

class Value {
 public:
  Value() = default;
  Value(std::nullptr_t) {}                               // NOLINT(google-explicit-constructor)
  Value(bool v) : data_(v) {}                            // NOLINT(google-explicit-constructor)
  Value(int v) : data_(static_cast<std::int64_t>(v)) {}  // NOLINT(google-explicit-constructor)
  Value(std::int64_t v) : data_(v) {}                    // NOLINT(google-explicit-constructor)
  Value(std::uint64_t v)
      : data_(static_cast<std::int64_t>(v)) {}          // NOLINT(google-explicit-constructor)
  Value(double v) : data_(v) {}                         // NOLINT(google-explicit-constructor)
  Value(const char* v) : data_(std::string(v)) {}       // NOLINT(google-explicit-constructor)
  Value(std::string_view v) : data_(std::string(v)) {}  // NOLINT(google-explicit-constructor)
  Value(std::string v) : data_(std::move(v)) {}         // NOLINT(google-explicit-constructor)
  Value(Array v);                                       // NOLINT(google-explicit-constructor)
  Value(Object v);                                      // NOLINT(google-explicit-constructor)

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  bool is_string() const { return std::holds_alternative<std::string>(data_); }
  bool is_object() const { return std::holds_alternative<Object>(data_); }
  bool is_array() const { return std::holds_alternative<Array>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(data_); }
  bool is_number() const { return is_int() || std::holds_alternative<double>(data_); }

  // The content where it has that type, else nothing (empty container, null pointer).
  const std::string* string() const { return std::get_if<std::string>(&data_); }
  std::optional<std::int64_t> integer() const;
  std::optional<double> number() const;
  std::optional<bool> boolean() const;
  const Array& items() const;
  const Object& members() const;

  // Member of an object; null pointer where absent (or not an object).
  const Value* find(std::string_view key) const;

  // Readers for documents from outside. A JSON null counts as absent.
  Result<std::string> require_string(std::string_view key) const;
  Result<std::string> optional_string(std::string_view key, std::string fallback = {}) const;
  Result<std::int64_t> require_int(std::string_view key) const;
  Result<std::int64_t> optional_int(std::string_view key, std::int64_t fallback) const;
  Result<bool> optional_bool(std::string_view key, bool fallback) const;
  Result<std::vector<std::string>> optional_strings(std::string_view key) const;
  Result<std::vector<std::pair<std::string, std::string>>> optional_string_map(
      std::string_view key) const;

  // Builders. `set` replaces or appends; it turns a null into an object.
  Value& set(std::string_view key, Value value);
  Value& push(Value value);  // turns a null into an array

  std::string dump() const;         // compact
  std::string dump_pretty() const;  // two spaces
  bool operator==(const Value&) const = default;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> data_;
};

Result<Value> parse(std::string_view text);
Value object(std::initializer_list<Member> members = {});
Value array(Array items = {});
Value strings(const std::vector<std::string>& items);
Value string_map(const std::vector<std::pair<std::string, std::string>>& items);

}  // namespace perigee::json
