// Heads onto the wire. What could not be read back as it is (line breaks in a value) is an error.
#include <fmt/format.h>

#include "http/codec.h"

namespace perigee::http {
namespace {

Result<void> append_fields(std::string& out, const Headers& headers) {
  for (const auto& [name, value] : headers.fields()) {
    if (!is_token(name) || !is_field_value(value)) {
      return fail(Code::internal, "header '{}' can't be sent: invalid name or value", name);
    }
    out.append(name).append(": ").append(value).append("\r\n");
  }
  out.append("\r\n");
  return {};
}

}  // namespace

Result<void> append_head(std::string& out, const RequestHead& head) {
  if (!is_token(head.method) || !is_target(head.target)) {
    return fail(Code::internal, "request line of {} {} can't be sent", head.method, head.target);
  }
  out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\n");
  return append_fields(out, head.headers);
}

Result<void> append_head(std::string& out, const ResponseHead& head) {
  if (head.status < 100 || head.status > 999) {
    return fail(Code::internal, "status {} can't be sent", head.status);
  }
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", head.status,
                 reason_phrase(head.status));
  return append_fields(out, head.headers);
}

}  // namespace perigee::http
