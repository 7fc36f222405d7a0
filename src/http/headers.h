// Headers: the fields of a head or a trailer section (RFC 9110, section 5), in order. Names are
// compared without case; a name may stand more than once.
//
// All text stands in one buffer, so that a head costs two allocations however many fields it has:
// heads are made and copied at each step of a request. What is removed leaves its text behind until
// the head ends, which is soon. Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"

namespace perigee::http {

// A field that is kept apart from any head.
using OwnField = std::pair<std::string, std::string>;

class Headers {
 public:
  using Field = std::pair<std::string_view, std::string_view>;  // name, value

  Headers() = default;
  Headers(const Headers& other);
  Headers& operator=(const Headers& other);
  Headers(Headers&& other) noexcept;
  Headers& operator=(Headers&& other) noexcept;
  ~Headers() = default;

  // What is given may be a field's own text.
  void add(std::string_view name, std::string_view value);
  void add_lower(std::string_view name, std::string_view value);  // the name, as HTTP/2 has it
  void set(std::string_view name, std::string_view value);        // replaces all of that name
  void remove(std::string_view name);
  template <typename Predicate>  // of a name
  void remove_if(Predicate is_gone) {
    std::erase_if(fields_, [&](const Field& field) { return is_gone(field.first); });
  }
  // The first value of that name; null: there is none. Valid until the next change, as are all
  // fields.
  const std::string_view* find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  const std::vector<Field>& fields() const { return fields_; }

  // Room for that many more fields with that many bytes of text, so that adding them is cheap.
  void reserve(std::size_t fields, std::size_t bytes);

 private:
  // The former buffer, where it had to be changed for a larger one.
  std::unique_ptr<char[]> make_room(std::size_t bytes);
  std::string_view keep(std::string_view text);

  std::unique_ptr<char[]> text_;
  std::size_t used_ = 0;
  std::size_t capacity_ = 0;
  std::vector<Field> fields_;  // into text_
};

}  // namespace perigee::http
