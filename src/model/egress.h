// Egress: where an app's machines may connect to beside each other, as its owner writes it:
//
//   "203.0.113.0/24"  "203.0.113.7:443"  "203.0.113.0/24:8000-8100"  "[2001:db8::/32]:443"
//
// Pure. The values are in types.h; the node's firewall makes them true (vm/firewall.h).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "json/json.h"
#include "model/types.h"

namespace perigee::model {

enum class IpForm { address, network };
// `invalid_argument` unless `text` is an IPv4 or IPv6 address, or a network whose host bits are 0.
Result<void> check_ip(std::string_view text, IpForm form);

Result<EgressRule> parse_egress_rule(std::string_view text);
std::string to_text(const EgressRule& rule);

// {"policy": "internet" | "closed" | "list", "allow": ["203.0.113.0/24:443", …]}
json::Value to_json(const EgressPolicy& egress);
Result<EgressPolicy> egress_policy_from(const json::Value& value);
std::string_view name(EgressKind kind);

}  // namespace perigee::model
