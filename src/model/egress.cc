#include "model/egress.h"

#include <arpa/inet.h>

#include <array>

#include "base/text.h"
#include "model/json_parts.h"
#include "model/limits.h"

namespace perigee::model {
namespace {

constexpr EnumNames<EgressKind, 3> kKinds{{{EgressKind::internet, "internet"},
                                           {EgressKind::closed, "closed"},
                                           {EgressKind::listed, "list"}}};
constexpr std::uint64_t kMaxPort = 65535;

struct Ip {
  std::array<unsigned char, 16> bytes{};
  std::size_t size = 0;  // 4 or 16
};

std::optional<Ip> parse_ip(std::string_view text) {
  const std::string copy(text);
  Ip ip;
  const bool is_ipv6 = copy.find(':') != std::string::npos;
  ip.size = is_ipv6 ? 16 : 4;
  if (is_ipv6 && copy.find('.') != std::string::npos)
    return std::nullopt;  // nft reads no such form
  if (::inet_pton(is_ipv6 ? AF_INET6 : AF_INET, copy.c_str(), ip.bytes.data()) != 1) {
    return std::nullopt;
  }
  return ip;
}

bool has_host_bits(const Ip& ip, std::size_t prefix) {
  for (std::size_t bit = prefix; bit < ip.size * 8; ++bit) {
    if ((ip.bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return true;
  }
  return false;
}

// "NETWORK", "[NETWORK]" → the network; what follows it, from its colon on.
std::pair<std::string_view, std::string_view> split_ports(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return {"", ""};
    return {text.substr(1, end - 1), text.substr(end + 1)};
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) {
    return {text, ""};  // no port: IPv4, or IPv6 without brackets
  }
  return {text.substr(0, colon), text.substr(colon)};
}

Result<void> read_ports(EgressRule& rule, std::string_view text) {
  if (text.empty()) return {};
  const auto wrong = [&] {
    return fail(Code::invalid_argument, "'{}': expected a port such as :443, or :8000-8100", text);
  };
  if (!text.starts_with(':')) return wrong();
  const auto range = split_once(text.substr(1), '-');
  const auto first = parse_uint(range ? range->first : text.substr(1), kMaxPort);
  const auto last = range ? parse_uint(range->second, kMaxPort) : first;
  if (!first || !last || *first == 0 || *last < *first) return wrong();
  rule.first_port = static_cast<int>(*first);
  rule.last_port = static_cast<int>(*last);
  return {};
}

// An address is the network of itself.
std::string as_network(std::string_view text) {
  if (text.find('/') != std::string_view::npos) return std::string(text);
  return fmt::format("{}/{}", text, text.find(':') == std::string_view::npos ? 32 : 128);
}

}  // namespace

Result<void> check_ip(std::string_view text, IpForm form) {
  const auto parts = split_once(text, '/');
  const auto ip = parse_ip(parts ? parts->first : text);
  if (form == IpForm::address) {
    if (ip && !parts) return {};
    return fail(Code::invalid_argument, "'{}' is not an IP address", text);
  }
  const auto prefix = parts && ip ? parse_uint(parts->second, ip->size * 8) : std::nullopt;
  const bool padded = prefix && parts->second.size() > 1 && parts->second.starts_with('0');
  if (!prefix || padded) {
    return fail(Code::invalid_argument, "'{}' is not a network such as 203.0.113.0/24", text);
  }
  if (has_host_bits(*ip, static_cast<std::size_t>(*prefix))) {
    return fail(Code::invalid_argument, "'{}': bits beyond the /{} are set", text, *prefix);
  }
  return {};
}

Result<EgressRule> parse_egress_rule(std::string_view text) {
  const auto [network, ports] = split_ports(text);
  EgressRule rule{.network = as_network(network)};
  TRY_VOID(check_ip(rule.network, IpForm::network));
  TRY_VOID_AS(read_ports(rule, ports), text);
  return rule;
}

std::string to_text(const EgressRule& rule) {
  if (rule.first_port == 0) return rule.network;
  const bool is_ipv6 = rule.network.find(':') != std::string::npos;
  std::string text = is_ipv6 ? fmt::format("[{}]", rule.network) : rule.network;
  text += fmt::format(":{}", rule.first_port);
  if (rule.last_port != rule.first_port) text += fmt::format("-{}", rule.last_port);
  return text;
}

std::string_view name(EgressKind kind) {
  return name_of(kKinds, kind);
}

json::Value to_json(const EgressPolicy& egress) {
  json::Value allow = json::array();
  for (const EgressRule& rule : egress.rules) allow.push(to_text(rule));
  return json::object({{"policy", name_of(kKinds, egress.kind)}, {"allow", std::move(allow)}});
}

Result<EgressPolicy> egress_policy_from(const json::Value& value) {
  EgressPolicy egress;
  TRY(egress.kind, enum_in(kKinds, value, "policy", EgressKind::internet));
  TRY(const std::vector<std::string> allow, value.optional_strings("allow"));
  if (allow.size() > kMaxEgressRules) {
    return fail(Code::invalid_argument, "allow: more than {} items", kMaxEgressRules);
  }
  if (egress.kind != EgressKind::listed && !allow.empty()) {
    return fail(Code::invalid_argument, "allow: only with the policy \"list\"");
  }
  for (const std::string& text : allow) {
    TRY_AS(EgressRule rule, parse_egress_rule(text), "allow");
    egress.rules.push_back(std::move(rule));
  }
  return egress;
}

}  // namespace perigee::model
