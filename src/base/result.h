// Result<T>: the value, or an Error. The only way that a function of ours fails.
//
//   Result<Image> pull(const Reference& ref) {
//     TRY(auto manifest, fetch_manifest(ref));            // returns the error if there is one
//     TRY_VOID(verify(manifest));
//     return fail(Code::unsupported, "{}: no linux/amd64 image", ref);
//   }
//
// In a coroutine use CO_TRY and CO_TRY_VOID. The `_AS` forms put words in front of the error:
//   CO_TRY_AS(auto blob, co_await get(digest), fmt::format("layer {}", digest));
#pragma once

#include <fmt/format.h>

#include <expected>
#include <string>
#include <utility>

#include "base/error.h"

namespace perigee {

template <typename T>
using Result = std::expected<T, Error>;

template <typename... Args>
[[nodiscard]] std::unexpected<Error> fail(Code code, fmt::format_string<Args...> format,
                                          Args&&... args) {
  return std::unexpected(Error::make(code, fmt::format(format, std::forward<Args>(args)...)));
}

[[nodiscard]] inline std::unexpected<Error> fail(Error error) {
  return std::unexpected(std::move(error));
}

}  // namespace perigee

#define PERIGEE_CAT_(a, b) a##b
#define PERIGEE_CAT(a, b) PERIGEE_CAT_(a, b)

#define PERIGEE_TRY_(result, keyword, declaration, expression) \
  auto result = (expression);                                  \
  if (!result) [[unlikely]]                                    \
    keyword std::unexpected(std::move(result).error());        \
  declaration = *std::move(result)
#define PERIGEE_TRY_AS_(result, keyword, declaration, expression, words) \
  auto result = (expression);                                            \
  if (!result) [[unlikely]]                                              \
    keyword std::unexpected(std::move(result).error().with(words));      \
  declaration = *std::move(result)
#define PERIGEE_TRY_VOID_(keyword, expression)                     \
  do {                                                             \
    auto perigee_result_ = (expression);                           \
    if (!perigee_result_) [[unlikely]]                             \
      keyword std::unexpected(std::move(perigee_result_).error()); \
  } while (false)
#define PERIGEE_TRY_VOID_AS_(keyword, expression, words)                       \
  do {                                                                         \
    auto perigee_result_ = (expression);                                       \
    if (!perigee_result_) [[unlikely]]                                         \
      keyword std::unexpected(std::move(perigee_result_).error().with(words)); \
  } while (false)

#define TRY(declaration, ...) \
  PERIGEE_TRY_(PERIGEE_CAT(try_result_, __LINE__), return, declaration, (__VA_ARGS__))
#define CO_TRY(declaration, ...) \
  PERIGEE_TRY_(PERIGEE_CAT(try_result_, __LINE__), co_return, declaration, (__VA_ARGS__))
#define TRY_AS(declaration, expression, words) \
  PERIGEE_TRY_AS_(PERIGEE_CAT(try_result_, __LINE__), return, declaration, expression, words)
#define CO_TRY_AS(declaration, expression, words) \
  PERIGEE_TRY_AS_(PERIGEE_CAT(try_result_, __LINE__), co_return, declaration, expression, words)
#define TRY_VOID(...) PERIGEE_TRY_VOID_(return, (__VA_ARGS__))
#define CO_TRY_VOID(...) PERIGEE_TRY_VOID_(co_return, (__VA_ARGS__))
#define TRY_VOID_AS(expression, words) PERIGEE_TRY_VOID_AS_(return, expression, words)
#define CO_TRY_VOID_AS(expression, words) PERIGEE_TRY_VOID_AS_(co_return, expression, words)
