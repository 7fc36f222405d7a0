// Whether a request may go to a machine once more after one attempt has failed (RFC 9110 section
// 9.2.2). Pure: the table of docs/load-balancing.md.
#pragma once

#include <string_view>

namespace perigee::router {

enum class Retry {
  elsewhere,  // nothing of it has reached the app: as if it had not been tried
  repeat,     // the app may have seen it, and to do it twice is to do it once
  no,
};

struct FailedAttempt {
  std::string_view method{};
  bool sent = false;      // any of it may have been read by the app
  bool cut = false;       // the connection ended without an answer; no: it was late, or nonsense
  bool body_kept = true;  // all of the body that was read can be sent once more
  int repeats = 0;        // so far
};

bool is_idempotent(std::string_view method);
Retry may_retry(const FailedAttempt& attempt);

}  // namespace perigee::router
