// Any bytes as a request head: refused, or written out again and read as the same.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "http/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  HeadScanner scanner;
  const auto found = scanner.scan(text);
  HeadScanner slow;  // byte by byte it must come to the same
  Parsed<std::optional<std::size_t>> last = std::nullopt;
  for (std::size_t n = 0; n <= text.size() && last && !*last; ++n)
    last = slow.scan(text.substr(0, n));
  PERIGEE_CHECK(last == found);
  if (!found || !*found) return 0;
  const auto head = parse_request_head(text.substr(0, **found));
  if (!head) return 0;
  PERIGEE_CHECK(head->headers.count("host") <= 1);
  const auto framing = request_framing(*head);
  if (framing && framing->kind == Framing::Kind::chunked) {
    PERIGEE_CHECK(head->headers.count("content-length") == 0);
  }
  if (head->headers.count("host") == 0) return 0;  // from 1.0; it is written as 1.1
  std::string out;
  PERIGEE_CHECK(append_head(out, *head).has_value());
  const auto again = parse_request_head(out);
  PERIGEE_CHECK(again && again->method == head->method && again->target == head->target);
  PERIGEE_CHECK(again->headers.fields() == head->headers.fields());
  return 0;
}
