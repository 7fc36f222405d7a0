// Heads onto the wire. What could not be read back as it is (line breaks in a value) is an error.
#include "http/codec.h"

namespace perigee::http {
namespace {

constexpr std::size_t kPerField = 4;  // ": " and the line's end
constexpr std::size_t kForFirstLine = 64;

// At most once, whatever is appended.
void make_room(std::string& out, const Headers& headers, std::size_t first_line) {
  std::size_t size = out.size() + first_line;
  for (const auto& [name, value] : headers.fields()) size += name.size() + value.size() + kPerField;
  out.reserve(size);
}

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
  make_room(out, head.headers, head.method.size() + head.target.size() + kForFirstLine);
  out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\n");
  return append_fields(out, head.headers);
}

Result<void> append_head(std::string& out, const ResponseHead& head) {
  if (head.status < 100 || head.status > 999) {
    return fail(Code::internal, "status {} can't be sent", head.status);
  }
  make_room(out, head.headers, kForFirstLine);
  out.append("HTTP/1.1 ").append(std::to_string(head.status)).append(" ");
  out.append(reason_phrase(head.status)).append("\r\n");
  return append_fields(out, head.headers);
}

}  // namespace perigee::http
