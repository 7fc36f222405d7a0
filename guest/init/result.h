// How init reports what can go wrong: a value or one sentence for a person, which travels to the
// host as Failed. (base/result.h is not used: init links nothing but the channel.)
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace perigee::init {

// `message` names the thing, the cause and the next step.
struct Failure {
  std::string message;
};

template <typename T>
using Result = std::expected<T, Failure>;
using Status = std::expected<void, Failure>;

inline bool operator==(const Failure& a, const Failure& b) {
  return a.message == b.message;
}

inline std::unexpected<Failure> fail(std::string message) {
  return std::unexpected(Failure{std::move(message)});
}

// "thing: cause; next": cause is errno's sentence. Call it with errno read on the failing line.
std::unexpected<Failure> fail_errno(std::string_view thing, int error, std::string_view next);
std::string errno_text(int error);

}  // namespace perigee::init
