// What the ACME client's hook says on its output: which challenge is to be answered, and when that
// is over (uacme(1), --hook).
//
//   perigee-challenge begin http-01 www.example.com TOKEN ANSWER
//
// Pure; the words come from the authority.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "model/route_certificate.h"

namespace perigee::acme {

inline constexpr std::string_view kHookWord = "perigee-challenge";

struct HookCall {
  enum class Method { begin, done, failed } method = Method::begin;
  // nullopt: of a type that nobody here answers.
  std::optional<model::RouteChallenge> challenge;
  bool operator==(const HookCall&) const = default;
};

// nullopt: another line, a message for people.
Result<std::optional<HookCall>> parse_hook_line(std::string_view line);

}  // namespace perigee::acme
