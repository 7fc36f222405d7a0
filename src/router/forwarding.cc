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
// What a machine is told by us alone, of those that are in no family of ours.
constexpr std::array<std::string_view, 3> kSetAnew{"x-forwarded-proto", "x-forwarded-port",
                                                   "x-forwarded-ssl"};
constexpr std::array<std::string_view, 2> kRequestIds{"perigee-request-id", "fly-request-id"};
// Room for what is added to a head, and for what most heads bring.
constexpr std::size_t kAddedFields = 16;
constexpr std::size_t kRoomForRequest = 1024;
constexpr std::size_t kRoomForResponse = 512;

// What becomes of a field on its way on.
enum class Fate { kept, dropped, forwarded_for, via };

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

bool among(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::any_of(names, [&](std::string_view each) { return iequals(each, name); });
}

// Those that Connection names, and may, of those that are not hop by hop in any case.
std::vector<std::string_view> named_by_connection(const http::Headers& headers) {
  std::vector<std::string_view> named;
  for (const auto& [field, value] : headers.fields()) {
    if (!iequals(field, "connection")) continue;
    any_part(value, ',', [&](std::string_view part) {
      const std::string_view name = trim(part);
      if (!among(kProtected, name) && !among(kHopByHop, name)) named.push_back(name);
      return false;
    });
  }
  return named;
}

bool is_of_hop(std::string_view name, std::span<const std::string_view> named) {
  return among(kHopByHop, name) || among(named, name);
}

Fate fate_in_request(std::string_view name, std::span<const std::string_view> named) {
  if (is_of_hop(name, named) || among(kSetAnew, name) || is_ours(name)) return Fate::dropped;
  if (iequals(name, "x-forwarded-for")) return Fate::forwarded_for;
  return iequals(name, "via") ? Fate::via : Fate::kept;
}

void append_to(std::string& list, std::string_view value) {
  if (value.empty()) return;
  if (!list.empty()) list += ", ";
  list += value;
}

template <typename Head>
std::string via(const Head& head) {
  return fmt::format("{}.{} {}", head.major_version, head.minor_version, kPseudonym);
}

}  // namespace

void remove_hop_by_hop(http::Headers& headers) {
  const std::vector<std::string_view> named = named_by_connection(headers);
  headers.remove_if([&](std::string_view name) { return is_of_hop(name, named); });
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
  http::RequestHead head{.method = request.method,
                         .target = request.target,
                         .major_version = request.major_version,
                         .minor_version = request.minor_version};
  http::Headers& headers = head.headers;
  headers.reserve(request.headers.fields().size() + kAddedFields, kRoomForRequest);
  const std::vector<std::string_view> named = named_by_connection(request.headers);
  std::string forwarded_for;
  std::string hops;
  for (const auto& [field, value] : request.headers.fields()) {
    switch (fate_in_request(field, named)) {
      case Fate::kept:
        headers.add(field, value);
        break;
      case Fate::forwarded_for:
        append_to(forwarded_for, value);
        break;
      case Fate::via:
        append_to(hops, value);
        break;
      case Fate::dropped:
        break;
    }
  }
  if (http::takes_trailers(request.headers)) headers.add("TE", "trailers");
  append_to(forwarded_for, hop.client_ip);
  append_to(hops, via(request));
  const std::string port = std::to_string(hop.listener_port);
  headers.add("X-Forwarded-For", forwarded_for);
  headers.add("X-Forwarded-Proto", hop.tls ? "https" : "http");
  headers.add("X-Forwarded-Port", port);
  headers.add("X-Forwarded-Ssl", hop.tls ? "on" : "off");
  headers.add("perigee-client-ip", hop.client_ip);
  headers.add("Fly-Client-IP", hop.client_ip);
  headers.add("perigee-forwarded-port", port);
  headers.add("Fly-Forwarded-Port", port);
  headers.add("perigee-region", hop.region);
  headers.add("Fly-Region", hop.region);
  headers.add("perigee-request-id", hop.request_id);
  headers.add("fly-request-id", hop.request_id);
  headers.add("Via", hops);
  return head;
}

http::ResponseHead downstream_response(const http::ResponseHead& response,
                                       std::string_view request_id,
                                       const model::HttpOptions& options) {
  http::ResponseHead head{.status = response.status,
                          .major_version = response.major_version,
                          .minor_version = response.minor_version};
  http::Headers& headers = head.headers;
  headers.reserve(response.headers.fields().size() + kAddedFields, kRoomForResponse);
  const std::vector<std::string_view> named = named_by_connection(response.headers);
  std::string hops;
  for (const auto& [field, value] : response.headers.fields()) {
    if (is_of_hop(field, named) || backhaul::is_hop_field(field)) continue;
    if (!options.pristine && iequals(field, "via")) {
      append_to(hops, value);
    } else if (options.pristine || !among(kRequestIds, field)) {
      headers.add(field, value);
    }
  }
  if (!options.pristine) {
    append_to(hops, via(response));
    headers.add("Via", hops);
    for (const std::string_view name : kRequestIds) headers.add(name, request_id);
  }
  for (const model::HeaderRule& rule : options.response_headers) {
    headers.remove(rule.name);
    for (const std::string& value : rule.values) headers.add(rule.name, value);
  }
  return head;
}

}  // namespace perigee::router
