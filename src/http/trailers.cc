#include "http/trailers.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "http/codec.h"

namespace perigee::http {
namespace {

// RFC 9110 section 6.5.1, by kind: framing and the connection, routing, controls of the request,
// authentication, controls of the response, what the body's bytes mean.
constexpr std::array<std::string_view, 31> kOnlyInHeads{"connection",
                                                        "content-length",
                                                        "keep-alive",
                                                        "te",
                                                        "trailer",
                                                        "transfer-encoding",
                                                        "upgrade",
                                                        "proxy-connection",
                                                        "host",
                                                        "cache-control",
                                                        "expect",
                                                        "max-forwards",
                                                        "pragma",
                                                        "range",
                                                        "authorization",
                                                        "cookie",
                                                        "set-cookie",
                                                        "proxy-authenticate",
                                                        "proxy-authorization",
                                                        "www-authenticate",
                                                        "age",
                                                        "date",
                                                        "expires",
                                                        "location",
                                                        "retry-after",
                                                        "vary",
                                                        "warning",
                                                        "via",
                                                        "content-encoding",
                                                        "content-range",
                                                        "content-type"};

}  // namespace

bool may_trail(std::string_view name) {
  const bool conditional = name.size() > 3 && iequals(name.substr(0, 3), "if-");
  return is_token(name) && !conditional &&
         std::ranges::none_of(kOnlyInHeads,
                              [&](std::string_view each) { return iequals(each, name); });
}

bool takes_trailers(const Headers& request) {
  return has_token(request, "te", "trailers");
}

std::string last_chunk(const Headers& trailers) {
  std::string out = "0\r\n";
  for (const auto& [name, value] : trailers.fields()) {
    if (!may_trail(name) || !is_field_value(value)) continue;
    out.append(name).append(": ").append(value).append("\r\n");
  }
  return out + "\r\n";
}

}  // namespace perigee::http
