// Any bytes as a response head: refused, or written out again and read as the same.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "http/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  HeadScanner scanner;
  const auto found = scanner.scan(text);
  if (!found || !*found) return 0;
  const auto head = parse_response_head(text.substr(0, **found));
  if (!head) return 0;
  for (const char* method : {"GET", "HEAD"}) {
    const auto framing = response_framing(*head, method);
    if (!framing || method[0] != 'H') continue;
    PERIGEE_CHECK(framing->kind == Framing::Kind::none);
  }
  std::string out;
  PERIGEE_CHECK(append_head(out, *head).has_value());
  const auto again = parse_response_head(out);
  PERIGEE_CHECK(again && again->status == head->status);
  PERIGEE_CHECK(again->headers.fields() == head->headers.fields());
  return 0;
}
