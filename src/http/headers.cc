#include "http/headers.h"

#include <algorithm>
#include <cstring>

namespace perigee::http {
namespace {

constexpr std::size_t kFirstBytes = 512;
constexpr std::size_t kFirstFields = 16;

}  // namespace

Headers::Headers(const Headers& other) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : other.fields_) bytes += name.size() + value.size();
  reserve(other.fields_.size(), bytes);
  for (const auto& [name, value] : other.fields_) fields_.emplace_back(keep(name), keep(value));
}

Headers& Headers::operator=(const Headers& other) {
  if (this != &other) *this = Headers(other);
  return *this;
}

Headers::Headers(Headers&& other) noexcept
    : text_(std::move(other.text_)),
      used_(std::exchange(other.used_, 0)),
      capacity_(std::exchange(other.capacity_, 0)),
      fields_(std::exchange(other.fields_, {})) {}

Headers& Headers::operator=(Headers&& other) noexcept {
  text_ = std::move(other.text_);
  used_ = std::exchange(other.used_, 0);
  capacity_ = std::exchange(other.capacity_, 0);
  fields_ = std::exchange(other.fields_, {});
  return *this;
}

void Headers::add(std::string_view name, std::string_view value) {
  const auto former = make_room(name.size() + value.size());  // may be where they stand
  if (fields_.capacity() == 0) fields_.reserve(kFirstFields);
  fields_.emplace_back(keep(name), keep(value));
}

void Headers::add_lower(std::string_view name, std::string_view value) {
  add(name, value);
  const std::string_view kept = fields_.back().first;
  char* const at = text_.get() + (kept.data() - text_.get());
  std::transform(at, at + kept.size(), at, [](char c) { return to_lower(c); });
}

void Headers::set(std::string_view name, std::string_view value) {
  remove(name);
  add(name, value);
}

void Headers::remove(std::string_view name) {
  remove_if([name](std::string_view each) { return iequals(each, name); });
}

const std::string_view* Headers::find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (iequals(field.first, name)) return &field.second;
  }
  return nullptr;
}

std::size_t Headers::count(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      fields_, [name](const Field& field) { return iequals(field.first, name); }));
}

void Headers::reserve(std::size_t fields, std::size_t bytes) {
  fields_.reserve(fields_.size() + fields);
  make_room(bytes);
}

std::unique_ptr<char[]> Headers::make_room(std::size_t bytes) {
  if (capacity_ - used_ >= bytes) return nullptr;
  const std::size_t capacity = std::max({kFirstBytes, 2 * capacity_, used_ + bytes});
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  if (used_ > 0) std::memcpy(larger.get(), text_.get(), used_);
  const auto moved = [&](std::string_view text) {
    return std::string_view(larger.get() + (text.data() - text_.get()), text.size());
  };
  for (auto& [name, value] : fields_) {
    name = moved(name);
    value = moved(value);
  }
  capacity_ = capacity;
  return std::exchange(text_, std::move(larger));
}

// There is room.
std::string_view Headers::keep(std::string_view text) {
  char* const at = text_.get() + used_;
  if (!text.empty()) std::memcpy(at, text.data(), text.size());
  used_ += text.size();
  return {at, text.size()};
}

}  // namespace perigee::http
