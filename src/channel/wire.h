// Little-endian fields to and from bytes: what the codec's encode and decode functions are made of.
// Writer appends to a string; Reader takes fields off the front of a view and, once a field is
// missing, stays failed and returns zeroes: the caller checks ok() once at the end.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "channel/types.h"

namespace perigee::channel {

template <std::unsigned_integral T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i)));
  }
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <std::unsigned_integral T>
  T get() {
    const std::string_view field = take(sizeof(T));
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < field.size(); ++i) {
      value |= std::uint64_t{static_cast<unsigned char>(field[i])} << (8 * i);
    }
    return static_cast<T>(value);
  }

  std::string_view take(std::size_t size) {
    if (size > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view field = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return field;
  }

  std::string_view take_rest() { return take(rest_.size()); }
  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

// One message as one of all (`Any`: HostMessage or GuestMessage).
template <typename Any, typename Message>
Decoded<std::optional<Any>> any(Decoded<Message> message) {
  if (!message) {
    return std::unexpected(message.error());
  }
  return Any(std::move(*message));
}

}  // namespace perigee::channel
