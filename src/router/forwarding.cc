#include "router/forwarding.h"

#include <algorithm>
#include <array>
#include <vector>

#include "backhaul/hop.h"
#include "base/text.h"
#include "http/trailers.h"

namespace perigee::router {
namespace {

constexpr std::array<std::string_view, 8> kHopByHop{
    "connection", "keep-alive", "proxy-connection",  "proxy-authorization",
    "te",         "upgrade",    "transfer-encoding", "expect"};
// Never taken away because Connection names them.
constexpr std::array<std::string_view, 5> kProtected{"host", "content-length", "content-type",
                                                     "authorization", "cookie"};
// Fields that routers vouch for in heads; a reader that merges trailers must not be deceived.
constexpr std::array<std::string_view, 4> kVouchedPrefixes{"x-forwarded-", "forwarded", "fly-",
                                                           "perigee-"};
constexpr std::string_view kPseudonym = "perigee";

bool among(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::any_of(names, [&](std::string_view n) { return iequals(n, name); });
}

void append_to(http::Headers& headers, std::string_view name, const std::string& value) {
  std::string all;
  for (const auto& [field, former] : headers.fields()) {
    if (iequals(field, name) && !former.empty()) all += former + ", ";
  }
  headers.set(name, all + value);
}

template <typename Head>
std::string via(const Head& head) {
  return fmt::format("{}.{} {}", head.major_version, head.minor_version, kPseudonym);
}

}  // namespace

void remove_hop_by_hop(http::Headers& headers) {
  std::vector<std::string> named;
  for (const auto& [field, value] : headers.fields()) {
    if (!iequals(field, "connection")) continue;
    for (const std::string_view part : split(value, ',')) named.emplace_back(trim(part));
  }
  for (const std::string& name : named) {
    if (!among(kProtected, name)) headers.remove(name);
  }
  for (const std::string_view name : kHopByHop) headers.remove(name);
}

http::Headers forwarded_trailers(const http::Headers& trailers) {
  http::Headers kept;
  for (const auto& [field, value] : trailers.fields()) {
    const std::string name = to_lower(field);
    const bool ours = std::ranges::any_of(
        kVouchedPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (!ours) kept.add(field, value);
  }
  return kept;
}

http::RequestHead upstream_request(const http::RequestHead& request, const Hop& hop) {
  http::RequestHead head = request;
  http::Headers& headers = head.headers;
  remove_hop_by_hop(headers);
  if (http::takes_trailers(request.headers)) headers.set("TE", "trailers");
  backhaul::remove_hop_fields(headers);
  append_to(headers, "X-Forwarded-For", hop.client_ip);
  headers.set("X-Forwarded-Proto", hop.tls ? "https" : "http");
  headers.set("X-Forwarded-Port", std::to_string(hop.listener_port));
  headers.set("X-Forwarded-Ssl", hop.tls ? "on" : "off");
  headers.set("Fly-Client-IP", hop.client_ip);
  headers.set("Fly-Region", hop.region);
  headers.set("perigee-request-id", hop.request_id);
  headers.set("fly-request-id", hop.request_id);
  append_to(headers, "Via", via(request));
  return head;
}

http::ResponseHead downstream_response(const http::ResponseHead& response,
                                       std::string_view request_id) {
  http::ResponseHead head = response;
  remove_hop_by_hop(head.headers);
  backhaul::remove_hop_fields(head.headers);
  append_to(head.headers, "Via", via(response));
  head.headers.set("perigee-request-id", request_id);
  head.headers.set("fly-request-id", request_id);
  return head;
}

}  // namespace perigee::router
