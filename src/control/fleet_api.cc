#include "control/fleet_api.h"

#include "control/limits.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;

constexpr std::int64_t kTokenLifeDefault = 3600;        // seconds
constexpr std::int64_t kTokenLifeMax = 30 * 24 * 3600;  // seconds
constexpr std::int64_t kTokenUsesMax = 1000;
constexpr int kLinkPort = 4281;

Result<std::int64_t> bounded(const json::Value& body, std::string_view member,
                             std::int64_t fallback, std::int64_t max) {
  TRY(const std::int64_t value, body.optional_int(member, fallback));
  if (value >= 1 && value <= max) return value;
  return fail(Code::invalid_argument, "{}: must be from 1 to {}", member, max);
}

}  // namespace

void FleetApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  table.answer("POST", "/v1/nodes/tokens", guard, [this](Call& call) { return make_token(call); });
  table.answer("GET", "/v1/nodes/tokens", guard, [this](Call&) { return list_tokens(); });
  table.answer("DELETE", "/v1/nodes/tokens/{token}", guard,
               [this](Call& call) { return revoke_token(call); });
}

void FleetApi::add_internal_routes(api::RouteTable& table) {
  const api::Guard local = callers_.local_daemons();
  // Whoever has a token may ask; the link lets callers without a certificate through to these two.
  table.answer("GET", "/internal/v1/fleet/ca", local, [this](Call&) { return ca(); });
  table.answer("POST", "/internal/v1/fleet/join", local, [this](Call& call) { return join(call); });
  table.answer("POST", "/internal/v1/fleet/join-own", local,
               [this](Call& call) { return join_own(call); });
  table.answer("POST", "/internal/v1/fleet/nodes/{node}/certificate", callers_.daemons(),
               [this](Call& call) { return renew(call); });
  table.answer("POST", "/internal/v1/fleet/nodes/{node}/wireguard-key", callers_.daemons(),
               [this](Call& call) { return set_keys(call); });
  table.answer("GET", "/internal/v1/keys/node-ring", callers_.daemons(),
               [this](Call&) { return key_ring(); });
}

// Of the links of nodes with control.
std::vector<std::string> FleetApi::join_addresses() const {
  std::vector<std::string> out;
  for (const auto& [id, stored] : context_.desired.nodes()) {
    const auto& membership = stored.value.membership;
    if (!membership || !membership->runs("control") || membership->endpoint.empty()) continue;
    const std::string& endpoint = membership->endpoint;
    out.push_back(fmt::format("{}:{}", endpoint.substr(0, endpoint.rfind(':')), kLinkPort));
  }
  return out;
}

async::Task<Result<Reply>> FleetApi::make_token(Call& call) {
  CO_TRY(const std::int64_t life,
         bounded(call.body, "ttl_seconds", kTokenLifeDefault, kTokenLifeMax));
  CO_TRY(const std::int64_t uses, bounded(call.body, "uses", 1, kTokenUsesMax));
  CO_TRY(const bool control, call.body.optional_bool("control", false));
  CO_TRY(const model::JoinToken token,
         co_await fleet_.make_token(std::chrono::seconds(life), static_cast<int>(uses),
                                    control ? Fleet::Admits::controls_too : Fleet::Admits::nodes));
  co_return Reply{201, json::object({{"id", token.id},
                                     {"token", model::to_text(token)},
                                     {"join", json::strings(join_addresses())},
                                     {"ttl_seconds", life},
                                     {"uses", uses},
                                     {"control", control}})};
}

async::Task<Result<Reply>> FleetApi::list_tokens() {
  json::Value tokens = json::array();
  const WallTime now = context_.host.clock.wall();
  for (const auto& [id, stored] : context_.desired.join_tokens()) {
    if (stored.value.expires_at < now) continue;
    tokens.push(json::object({{"id", id},
                              {"created_at", to_rfc3339(stored.value.created_at)},
                              {"expires_at", to_rfc3339(stored.value.expires_at)},
                              {"uses_left", stored.value.uses_left},
                              {"control", stored.value.admits == Fleet::Admits::controls_too}}));
  }
  co_return Reply{200, json::object({{"tokens", std::move(tokens)}})};
}

async::Task<Result<Reply>> FleetApi::revoke_token(Call& call) {
  const std::string& id = call.param("token");
  const auto found = context_.desired.join_tokens().find(id);
  if (found == context_.desired.join_tokens().end()) {
    co_return fail(Code::not_found, "there is no join token {} (any more)", id);
  }
  store::Transaction transaction;
  transaction.expect(join_token_key(id), found->second.revision);
  transaction.remove(join_token_key(id));
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  co_return Reply{204, {}};
}

async::Task<Result<Reply>> FleetApi::ca() {
  CO_TRY(const Stored<FleetRecord> fleet, co_await fleet_.identity());
  co_return Reply{200, json::object({{"ca", fleet.value.ca_certificate}})};
}

async::Task<Result<Reply>> FleetApi::join(Call& call) {
  CO_TRY_AS(model::JoinRequest request, model::join_request_from(call.body), "join");
  CO_TRY(const model::Admission admission, co_await fleet_.admit(std::move(request)));
  co_return Reply{200, model::to_json(admission)};
}

async::Task<Result<Reply>> FleetApi::join_own(Call& call) {
  CO_TRY_AS(model::JoinRequest request, model::join_request_from(call.body), "join");
  CO_TRY(const model::Admission admission, co_await fleet_.admit_own(std::move(request)));
  co_return Reply{200, model::to_json(admission)};
}

async::Task<Result<Reply>> FleetApi::renew(Call& call) {
  const NodeId node(call.param("node"));
  CO_TRY_VOID(callers_.check_speaks_for(call.request, node));
  CO_TRY(std::string request, call.body.require_string("certificate_request"));
  const std::string_view* shown = call.request.head.headers.find(api::kCertificateHeader);
  CO_TRY(
      const model::Admission admission,
      co_await fleet_.renew(node, std::move(request), std::string(shown == nullptr ? "" : *shown)));
  co_return Reply{200, model::to_json(admission)};
}

async::Task<Result<Reply>> FleetApi::set_keys(Call& call) {
  const NodeId node(call.param("node"));
  CO_TRY_VOID(callers_.check_speaks_for(call.request, node));
  CO_TRY(std::string key, call.body.require_string("key"));
  CO_TRY(std::string next, call.body.optional_string("next_key"));
  CO_TRY_VOID(co_await fleet_.set_keys(node, std::move(key), std::move(next)));
  co_return Reply{204, {}};
}

async::Task<Result<Reply>> FleetApi::key_ring() {
  co_return Reply{200, json::object({{"key_ring", fleet_.key_ring()}})};
}

}  // namespace perigee::control
