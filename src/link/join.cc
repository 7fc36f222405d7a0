#include "link/join.h"

#include "async/combine.h"
#include "crypto/tls.h"
#include "http/client.h"
#include "link/limits.h"
#include "link/tls_network.h"

namespace perigee::link {
namespace {

struct Reply {
  int status = 0;
  json::Value body;
};

async::Task<Result<Reply>> call(sys::Host& host, sys::Address to, http::RequestHead head,
                                std::string body) {
  http::Client client(host, {.connect_timeout = kConnect});
  head.headers.set("Host", "control");
  head.headers.set("Content-Type", "application/json");
  const Deadline deadline = host.loop.deadline_in(kAnswer);
  CO_TRY(const auto response,
         co_await client.request(std::move(to), std::move(head), std::move(body), deadline));
  CO_TRY(const std::string text,
         co_await async::with_deadline(host.loop, deadline,
                                       http::read_all(response->body(), kMaxJoinAnswer), "join"));
  CO_TRY_AS(json::Value parsed, json::parse(text), "answer");
  co_return Reply{response->head.status, std::move(parsed)};
}

Result<Joined> joined(const Reply& reply, Candidate candidate) {
  if (reply.status != 200) {
    const std::string why = reply.body.optional_string("error").value_or("no reason given");
    const Code code = reply.status == 401   ? Code::unauthenticated
                      : reply.status == 403 ? Code::permission_denied
                      : reply.status == 422 ? Code::already_exists
                                            : Code::unavailable;
    return fail(code, "{}", why);
  }
  TRY_AS(model::Admission admission, model::admission_from(reply.body), "admission");
  std::string ring = std::move(admission.key_ring);
  admission.key_ring.clear();
  std::optional<model::ControlFiles> control = std::move(admission.control);
  admission.control.reset();
  return Joined{.identity = {.admission = std::move(admission),
                             .private_key_pem = std::move(candidate.private_key_pem)},
                .key_ring = std::move(ring),
                .control = std::move(control)};
}

// The fleet's CA as whoever answers there says it is: believed if the token says the same.
async::Task<Result<std::string>> fetch_ca(sys::Host& host, sys::Address control,
                                          const std::string& fingerprint) {
  CO_TRY(const auto tls, crypto::TlsClient::create("", crypto::TlsClient::Verify::no));
  TlsNetwork network(host.loop, host.network, *tls, std::string(model::kControlServerName));
  sys::Host secure{host.loop, host.clock,     host.entropy, network,
                   host.disk, host.processes, host.pool};
  http::RequestHead head{.method = "GET", .target = "/internal/v1/fleet/ca"};
  CO_TRY(const Reply reply, co_await call(secure, std::move(control), std::move(head), {}));
  CO_TRY(const std::string ca, reply.body.optional_string("ca"));
  const auto found = crypto::fingerprint(ca);
  if (!found || *found != fingerprint) {
    co_return fail(Code::unauthenticated,
                   "who answers there is not the fleet that the token is for; check the address, "
                   "and that the token is this fleet's");
  }
  co_return ca;
}

}  // namespace

Result<Candidate> candidate(NodeId node, RegionCode region, std::vector<std::string> roles,
                            std::string endpoint, std::string wireguard_key) {
  TRY(crypto::RequestedKey key, crypto::request_certificate(node.str()));
  return Candidate{.request = {.token = {},
                               .node = std::move(node),
                               .region = std::move(region),
                               .roles = std::move(roles),
                               .endpoint = std::move(endpoint),
                               .wireguard_key = std::move(wireguard_key),
                               .certificate_request = std::move(key.request_pem)},
                   .private_key_pem = std::move(key.private_key_pem)};
}

async::Task<Result<Joined>> join(sys::Host& host, sys::Address control, std::string token,
                                 Candidate candidate) {
  CO_TRY(const model::JoinToken parts, model::parse_join_token(token));
  CO_TRY(const std::string ca, co_await fetch_ca(host, control, parts.ca_fingerprint));
  CO_TRY(const auto tls, crypto::TlsClient::create(ca));
  TlsNetwork network(host.loop, host.network, *tls, std::string(model::kControlServerName));
  sys::Host secure{host.loop, host.clock,     host.entropy, network,
                   host.disk, host.processes, host.pool};
  candidate.request.token = std::move(token);
  http::RequestHead head{.method = "POST", .target = "/internal/v1/fleet/join"};
  CO_TRY(const Reply reply, co_await call(secure, std::move(control), std::move(head),
                                          model::to_json(candidate.request).dump()));
  co_return joined(reply, std::move(candidate));
}

async::Task<Result<Joined>> join_own(sys::Host& host, sys::Address socket, Candidate candidate) {
  http::RequestHead head{.method = "POST", .target = "/internal/v1/fleet/join-own"};
  CO_TRY(const Reply reply, co_await call(host, std::move(socket), std::move(head),
                                          model::to_json(candidate.request).dump()));
  co_return joined(reply, std::move(candidate));
}

}  // namespace perigee::link
