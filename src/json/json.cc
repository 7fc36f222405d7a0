// The one file that sees the JSON library: parsing through its SAX interface, writing through its
// serializer. Its exceptions end here.
#include "json/json.h"

#include <limits>

// Of the library's own state, checked at every step; whatever is parsed, they can't fail.
#define JSON_ASSERT(condition) static_cast<void>(0)
#include <nlohmann/json.hpp>

#include "base/check.h"

namespace perigee::json {
namespace {

using Library = nlohmann::ordered_json;
constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxMembers = 10'000;  // of one object; members are found by linear search

// Builds a Value from the library's parse events.
class Builder {
 public:
  using number_integer_t = Library::number_integer_t;
  using number_unsigned_t = Library::number_unsigned_t;
  using number_float_t = Library::number_float_t;
  using string_t = Library::string_t;
  using binary_t = Library::binary_t;

  bool null() { return add(Value()); }
  bool boolean(bool v) { return add(Value(v)); }
  bool number_integer(number_integer_t v) { return add(Value(std::int64_t{v})); }
  bool number_unsigned(number_unsigned_t v) {
    constexpr auto kMax = static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max());
    if (v > kMax) return add(Value(static_cast<double>(v)));
    return add(Value(static_cast<std::int64_t>(v)));
  }
  bool number_float(number_float_t v, const string_t&) { return add(Value(double{v})); }
  bool string(string_t& v) { return add(Value(std::move(v))); }
  bool binary(binary_t&) { return false; }
  bool start_object(std::size_t) { return open(Value(Object{})); }
  bool start_array(std::size_t) { return open(Value(Array{})); }
  bool key(string_t& v) {
    if (stack_.back().members().size() >= kMaxMembers) {
      error_ = fmt::format("an object with more than {} members", kMaxMembers);
      return false;
    }
    keys_.back() = std::move(v);
    return true;
  }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) {
    // Without what was read there: it may be confidential, and errors are logged.
    std::string_view what = e.what();
    what = what.substr(0, what.find("; last read"));
    error_ = fmt::format("byte {}: {}", position, what);
    return false;
  }

  Value& root() { return root_; }
  const std::string& error() const { return error_; }

 private:
  bool add(Value value) {
    if (stack_.empty()) {
      root_ = std::move(value);
    } else if (stack_.back().is_array()) {
      stack_.back().push(std::move(value));
    } else {
      stack_.back().set(keys_.back(), std::move(value));
    }
    return true;
  }
  bool open(Value container) {
    if (stack_.size() >= kMaxDepth) {
      error_ = fmt::format("nested deeper than {} levels", kMaxDepth);
      return false;
    }
    stack_.push_back(std::move(container));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    Value done = std::move(stack_.back());
    stack_.pop_back();
    keys_.pop_back();
    return add(std::move(done));
  }

  Value root_;
  std::vector<Value> stack_;
  std::vector<std::string> keys_;
  std::string error_;
};

Library to_library(const Value& value) {
  if (value.is_object()) {
    Library::object_t out;  // of names that differ, so that none is looked for
    out.reserve(value.members().size());
    for (const auto& [key, member] : value.members()) out.emplace_back(key, to_library(member));
    return Library(std::move(out));
  }
  if (value.is_array()) {
    Library out = Library::array();
    for (const Value& item : value.items()) out.push_back(to_library(item));
    return out;
  }
  if (const std::string* text = value.string()) return Library(*text);
  if (const auto flag = value.boolean()) return Library(*flag);
  if (value.is_int()) return Library(*value.integer());
  if (const auto number = value.number()) return Library(*number);
  return Library(nullptr);
}

constexpr auto kReplaceBadUtf8 = Library::error_handler_t::replace;

std::unexpected<Error> wrong(std::string_view key, std::string_view expected) {
  return fail(Code::invalid_argument, "{}: expected {}", key, expected);
}

const Value* present(const Value& value, std::string_view key) {
  const Value* member = value.find(key);
  return member == nullptr || member->is_null() ? nullptr : member;
}

}  // namespace

Value::Value(Array v) : data_(std::move(v)) {}
Value::Value(Object v) : data_(std::move(v)) {}

std::optional<std::int64_t> Value::integer() const {
  const auto* v = std::get_if<std::int64_t>(&data_);
  return v == nullptr ? std::nullopt : std::optional(*v);
}

std::optional<double> Value::number() const {
  if (const auto whole = integer()) return static_cast<double>(*whole);
  const auto* v = std::get_if<double>(&data_);
  return v == nullptr ? std::nullopt : std::optional(*v);
}

std::optional<bool> Value::boolean() const {
  const auto* v = std::get_if<bool>(&data_);
  return v == nullptr ? std::nullopt : std::optional(*v);
}

const Array& Value::items() const {
  static const Array kNone;
  const auto* v = std::get_if<Array>(&data_);
  return v == nullptr ? kNone : *v;
}

const Object& Value::members() const {
  static const Object kNone;
  const auto* v = std::get_if<Object>(&data_);
  return v == nullptr ? kNone : *v;
}

const Value* Value::find(std::string_view key) const {
  for (const auto& [name, member] : members()) {
    if (name == key) return &member;
  }
  return nullptr;
}

Result<std::string> Value::require_string(std::string_view key) const {
  const Value* member = present(*this, key);
  if (member == nullptr) return fail(Code::invalid_argument, "{}: missing", key);
  if (!member->is_string()) return wrong(key, "a string");
  return *member->string();
}

Result<std::string> Value::optional_string(std::string_view key, std::string fallback) const {
  if (present(*this, key) == nullptr) return fallback;
  return require_string(key);
}

Result<std::int64_t> Value::require_int(std::string_view key) const {
  const Value* member = present(*this, key);
  if (member == nullptr) return fail(Code::invalid_argument, "{}: missing", key);
  if (!member->is_int()) return wrong(key, "a whole number");
  return *member->integer();
}

Result<std::int64_t> Value::optional_int(std::string_view key, std::int64_t fallback) const {
  if (present(*this, key) == nullptr) return fallback;
  return require_int(key);
}

Result<bool> Value::optional_bool(std::string_view key, bool fallback) const {
  const Value* member = present(*this, key);
  if (member == nullptr) return fallback;
  if (!member->is_bool()) return wrong(key, "true or false");
  return *member->boolean();
}

Result<std::vector<std::string>> Value::optional_strings(std::string_view key) const {
  std::vector<std::string> out;
  const Value* member = present(*this, key);
  if (member == nullptr) return out;
  if (!member->is_array()) return wrong(key, "a list of strings");
  for (const Value& item : member->items()) {
    if (!item.is_string()) return wrong(key, "a list of strings");
    out.push_back(*item.string());
  }
  return out;
}

Result<std::vector<std::pair<std::string, std::string>>> Value::optional_string_map(
    std::string_view key) const {
  std::vector<std::pair<std::string, std::string>> out;
  const Value* member = present(*this, key);
  if (member == nullptr) return out;
  if (!member->is_object()) return wrong(key, "an object of strings");
  for (const auto& [name, item] : member->members()) {
    if (!item.is_string()) return wrong(fmt::format("{}.{}", key, name), "a string");
    out.emplace_back(name, *item.string());
  }
  return out;
}

Value& Value::set(std::string_view key, Value value) {
  if (is_null()) data_ = Object{};
  auto* object = std::get_if<Object>(&data_);
  PERIGEE_CHECK(object != nullptr);
  for (auto& [name, member] : *object) {
    if (name == key) {
      member = std::move(value);
      return *this;
    }
  }
  object->emplace_back(std::string(key), std::move(value));
  return *this;
}

Value& Value::push(Value value) {
  if (is_null()) data_ = Array{};
  auto* items = std::get_if<Array>(&data_);
  PERIGEE_CHECK(items != nullptr);
  items->push_back(std::move(value));
  return *this;
}

std::string Value::dump() const {
  return to_library(*this).dump(-1, ' ', false, kReplaceBadUtf8);
}

std::string Value::dump_pretty() const {
  return to_library(*this).dump(2, ' ', false, kReplaceBadUtf8);
}

Result<Value> parse(std::string_view text) {
  Builder builder;
  const bool good = Library::sax_parse(text.begin(), text.end(), &builder);
  if (!good) return fail(Code::invalid_argument, "not valid JSON: {}", builder.error());
  return std::move(builder.root());
}

Value object(std::initializer_list<Member> members) {
  return Value(Object(members));
}

Value array(Array items) {
  return Value(std::move(items));
}

Value strings(const std::vector<std::string>& items) {
  return Value(Array(items.begin(), items.end()));
}

Value string_map(const std::vector<std::pair<std::string, std::string>>& items) {
  Object out;
  for (const auto& [name, value] : items) out.emplace_back(name, Value(value));
  return Value(std::move(out));
}

}  // namespace perigee::json
