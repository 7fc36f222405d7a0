// Error: what an operation that may fail for reasons outside our code returns (see result.h).
//
// An Error answers three questions a caller has: what happened (code), whose fault it is, and
// whether trying again may help. `context` is the sentence a person reads; callers prepend to it on
// the way out ("while pulling registry/app:tag: …"). One table maps each code to an HTTP status, a
// CLI exit code and its name on the wire.
#pragma once

#include <string>
#include <string_view>

namespace perigee {

enum class Code {
  invalid_argument,    // the caller's input is malformed or not allowed
  not_found,           // the named thing does not exist
  already_exists,      // a thing of that name exists
  conflict,            // a compare-and-swap lost, or the state does not allow the operation
  permission_denied,   // known caller, not allowed
  unauthenticated,     // no or wrong credentials
  unsupported,         // valid, but this version does not do it
  resource_exhausted,  // a limit, quota, memory or disk is full
  unavailable,         // the other side can't be reached or refuses now
  deadline_exceeded,   // no answer in time
  cancelled,           // stopped on purpose
  data_loss,           // stored or received bytes are corrupt
  end_of_stream,       // the peer closed where more was expected
  internal,            // a bug or an unexpected answer of the system
};

enum class Fault { caller, upstream, internal };
enum class Retry { no, yes };

struct CodeInfo {
  std::string_view name;  // stable, snake_case, used on the wire
  int http_status;
  int exit_code;
  Fault fault;
  Retry retry;
};

const CodeInfo& info(Code code);

struct Error {
  Code code = Code::internal;
  Fault fault = Fault::internal;
  Retry retry = Retry::no;
  std::string context;

  // An error with the code's usual fault and retry.
  static Error make(Code code, std::string context);

  // "while pulling x" in front of what is known so far.
  Error&& with(std::string_view prefix) &&;
  Error with(std::string_view prefix) const&;

  bool operator==(const Error&) const = default;
};

// The error for `errno` value `number` after a failed `what` ("open /x").
Error errno_error(int number, std::string_view what);

}  // namespace perigee
