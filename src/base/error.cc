#include "base/error.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace perigee {
namespace {

constexpr std::array<CodeInfo, 14> kCodes{{
    {"invalid_argument", 400, 2, Fault::caller, Retry::no},
    {"not_found", 404, 3, Fault::caller, Retry::no},
    {"already_exists", 422, 4, Fault::caller, Retry::no},
    {"conflict", 409, 5, Fault::caller, Retry::yes},
    {"permission_denied", 403, 6, Fault::caller, Retry::no},
    {"unauthenticated", 401, 7, Fault::caller, Retry::no},
    {"unsupported", 400, 8, Fault::caller, Retry::no},
    {"resource_exhausted", 503, 9, Fault::internal, Retry::yes},
    {"unavailable", 503, 10, Fault::upstream, Retry::yes},
    {"deadline_exceeded", 408, 11, Fault::upstream, Retry::yes},
    {"cancelled", 499, 12, Fault::caller, Retry::no},
    {"data_loss", 500, 13, Fault::upstream, Retry::no},
    {"end_of_stream", 502, 14, Fault::upstream, Retry::yes},
    {"internal", 500, 1, Fault::internal, Retry::no},
}};

Code code_of_errno(int number) {
  switch (number) {
    case ENOENT:
    case ENODEV:
    case ESRCH:
      return Code::not_found;
    case EEXIST:
    case EADDRINUSE:
      return Code::already_exists;
    case EACCES:
    case EPERM:
      return Code::permission_denied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return Code::resource_exhausted;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENOTCONN:
      return Code::unavailable;
    case ETIMEDOUT:
      return Code::deadline_exceeded;
    case EINVAL:
    case ENAMETOOLONG:
      return Code::invalid_argument;
    case EOPNOTSUPP:
      return Code::unsupported;
    default:
      return Code::internal;
  }
}

}  // namespace

const CodeInfo& info(Code code) {
  return kCodes.at(static_cast<std::size_t>(code));
}

Error Error::make(Code code, std::string context) {
  const CodeInfo& usual = info(code);
  return Error{code, usual.fault, usual.retry, std::move(context)};
}

Error&& Error::with(std::string_view prefix) && {
  context = std::string(prefix) + ": " + context;
  return std::move(*this);
}

Error Error::with(std::string_view prefix) const& {
  Error copy = *this;
  return std::move(copy).with(prefix);
}

Error errno_error(int number, std::string_view what) {
  return Error::make(code_of_errno(number), std::string(what) + ": " + std::strerror(number));
}

}  // namespace perigee
