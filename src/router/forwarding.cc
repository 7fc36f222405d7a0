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
// Names that a client may not speak under, and what it may ask for all the same.
constexpr std::array<std::string_view, 2> kOurFamilies{"perigee-", "fly-"};
constexpr std::array<std::string_view, 2> kWishes{"prefer-", "force-"};

bool begins_with(std::string_view text, std::string_view prefix) {
  return iequals(text.substr(0, prefix.size()), prefix);
}

bool is_ours(std::string_view name) {
  for (const std::string_view family : kOurFamilies) {
    if (!begins_with(name, family)) continue;
    return std::ranges::none_of(kWishes, [&](std::string_view wish) {
      return begins_with(name.substr(family.size()), wish);
    });
  }
  return false;
}

void remove_ours(http::Headers& headers) {
  std::vector<std::string> names;
  for (const auto& [field, value] : headers.fields()) {
    if (is_ours(field)) names.push_back(field);
  }
  for (const std::string& name : names) headers.remove(name);
}

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
  remove_ours(headers);
  append_to(headers, "X-Forwarded-For", hop.client_ip);
  headers.set("X-Forwarded-Proto", hop.tls ? "https" : "http");
  const std::string port = std::to_string(hop.listener_port);
  headers.set("X-Forwarded-Port", port);
  headers.set("X-Forwarded-Ssl", hop.tls ? "on" : "off");
  headers.add("perigee-client-ip", hop.client_ip);
  headers.add("Fly-Client-IP", hop.client_ip);
  headers.add("perigee-forwarded-port", port);
  headers.add("Fly-Forwarded-Port", port);
  headers.add("perigee-region", hop.region);
  headers.add("Fly-Region", hop.region);
  headers.add("perigee-request-id", hop.request_id);
  headers.add("fly-request-id", hop.request_id);
  append_to(headers, "Via", via(request));
  return head;
}

http::ResponseHead downstream_response(const http::ResponseHead& response,
                                       std::string_view request_id,
                                       const model::HttpOptions& options) {
  http::ResponseHead head = response;
  remove_hop_by_hop(head.headers);
  backhaul::remove_hop_fields(head.headers);
  if (!options.pristine) {
    append_to(head.headers, "Via", via(response));
    head.headers.set("perigee-request-id", request_id);
    head.headers.set("fly-request-id", request_id);
  }
  for (const model::HeaderRule& rule : options.response_headers) {
    head.headers.remove(rule.name);
    for (const std::string& value : rule.values) head.headers.add(rule.name, value);
  }
  return head;
}

}  // namespace perigee::router
