#include "router/retry.h"

#include <algorithm>
#include <array>

#include "router/limits.h"

namespace perigee::router {

bool is_idempotent(std::string_view method) {
  constexpr std::array<std::string_view, 6> kMethods{"GET", "HEAD",   "OPTIONS",
                                                     "PUT", "DELETE", "TRACE"};
  return std::ranges::count(kMethods, method) > 0;
}

// What was late is not repeated: the machine may be at it, and a second one would make two busy.
Retry may_retry(const FailedAttempt& attempt) {
  if (!attempt.body_kept) return Retry::no;
  if (!attempt.sent) return Retry::elsewhere;
  const bool repeatable = attempt.cut && is_idempotent(attempt.method);
  return repeatable && attempt.repeats < kMaxRepeats ? Retry::repeat : Retry::no;
}

}  // namespace perigee::router
