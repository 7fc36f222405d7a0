#include "router/certificate_keeper.h"

#include <set>
#include <span>
#include <utility>
#include <vector>

#include "async/combine.h"
#include "base/log.h"
#include "crypto/aead.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "router/limits.h"
#include "router/ticket_keys.h"

namespace perigee::router {
namespace {

constexpr std::string_view kPath = "/internal/v1/keys/certificate-key";

bool same_certificates(const routing::RoutePtr& a, const routing::RoutePtr& b) {
  return a == b || (a != nullptr && b != nullptr && a->certificates == b->certificates &&
                    a->challenges == b->challenges);
}

std::set<std::string> certified_hosts(const model::AppRoute& route) {
  std::set<std::string> out;
  for (const model::RouteCertificate& each : route.certificates) {
    out.insert(each.hosts.begin(), each.hosts.end());
  }
  return out;
}

std::set<std::string> validated_hosts(const model::AppRoute& route) {
  std::set<std::string> out;
  for (const model::RouteChallenge& each : route.challenges) {
    if (each.type == model::ChallengeType::tls_alpn_01) out.insert(each.host);
  }
  return out;
}

// Of one host, for each kind of key.
class Pairs {
 public:
  Pairs() = default;
  Pairs(const Pairs&) = delete;
  Pairs& operator=(const Pairs&) = delete;
  ~Pairs() {
    for (crypto::KeyPair& each : pairs_) crypto::wipe(each.private_key_pem);
  }
  void add(std::string chain, std::string key) {
    pairs_.push_back({.certificate_pem = std::move(chain), .private_key_pem = std::move(key)});
  }
  std::span<const crypto::KeyPair> all() const { return pairs_; }

 private:
  std::vector<crypto::KeyPair> pairs_;
};

}  // namespace

CertificateKeeper::CertificateKeeper(sys::Host& host, sys::Address control, secrets::KindKeys keys,
                                     crypto::TlsServer& tls)
    : host_(host),
      control_(std::move(control)),
      keys_(std::move(keys)),
      tls_(tls),
      client_(host, {}),
      awaited_(host.loop) {}

void CertificateKeeper::update(const routing::RouteTable& before,
                               const routing::RouteTable& after) {
  // Hosts that are given up may be taken by an app that comes.
  using Route = const routing::RoutePtr*;
  routing::RouteMap::differences(
      before.apps(), after.apps(), [this](const std::string& name, Route old, Route now) {
        if (old == nullptr || (now != nullptr && same_certificates(*old, *now))) return;
        waiting_.erase(name);
        give_up(**old, now == nullptr ? nullptr : *now);
      });
  routing::RouteMap::differences(before.apps(), after.apps(),
                                 [this](const std::string&, Route old, Route now) {
                                   if (now == nullptr) return;
                                   if (old != nullptr && same_certificates(*old, *now)) return;
                                   install(*now);
                                   install_validations(**now);
                                 });
}

void CertificateKeeper::give_up(const model::AppRoute& old, const routing::RoutePtr& now) {
  static const model::AppRoute kNothing;
  const model::AppRoute& left = now == nullptr ? kNothing : *now;
  const auto certified = certified_hosts(left);
  for (const std::string& host : certified_hosts(old)) {
    if (!certified.contains(host)) tls_.remove_certificate(host);
  }
  const auto validated = validated_hosts(left);
  for (const std::string& host : validated_hosts(old)) {
    if (!validated.contains(host)) tls_.remove_validation(host);
  }
}

// All of an app's certificates, or, where keys are missing, what there was.
void CertificateKeeper::install(const routing::RoutePtr& route) {
  std::map<std::string, Pairs> by_host;
  for (const model::RouteCertificate& each : route->certificates) {
    auto key = keys_.open(each.hosts.front(), each.private_key);
    if (!key && key.error().code == Code::not_found) {
      waiting_[route->app.str()] = route;
      awaited_.notify_all();
      return;
    }
    if (!key) {
      log_warning("router", "{}", key.error().context);
      continue;
    }
    for (const std::string& host : each.hosts) by_host[host].add(each.chain_pem, *key);
    crypto::wipe(*key);
  }
  for (const auto& [host, pairs] : by_host) {
    const auto set = tls_.set_certificates(host, pairs.all());
    if (!set) log_warning("router", "{}", set.error().context);
  }
}

void CertificateKeeper::install_validations(const model::AppRoute& route) {
  for (const model::RouteChallenge& each : route.challenges) {
    if (each.type != model::ChallengeType::tls_alpn_01) continue;
    const auto set = validate(each);
    if (!set) log_warning("router", "validation of {}: {}", each.host, set.error().context);
  }
}

Result<void> CertificateKeeper::validate(const model::RouteChallenge& challenge) {
  TRY(const std::string digest, crypto::base64url_decode(challenge.answer));
  TRY(crypto::KeyPair pair, crypto::create_validation(challenge.host, digest, host_.clock.wall()));
  const Result<void> set = tls_.set_validation(challenge.host, pair);
  crypto::wipe(pair.private_key_pem);
  return set;
}

async::Task<void> CertificateKeeper::run() {
  bool told = false;
  for (;;) {
    while (waiting_.empty()) co_await awaited_.wait();
    const Result<void> fetched = co_await fetch_keys();
    for (const auto& [name, route] : std::exchange(waiting_, {})) install(route);
    if (waiting_.empty()) {
      told = false;
      continue;
    }
    if (!std::exchange(told, true)) {
      log_warning("router", "{} certificates wait for their keys{}{}", waiting_.size(),
                  fetched ? "" : ": ", fetched ? "" : fetched.error().context);
    }
    co_await host_.loop.sleep(kKeysRetry);
  }
}

async::Task<void> CertificateKeeper::change_ticket_keys() {
  for (;;) {
    tls_.set_ticket_keys(ticket_keys(keys_, host_.clock.wall()));
    co_await host_.loop.sleep(kTicketKeysCheck);
  }
}

async::Task<Result<void>> CertificateKeeper::fetch_keys() {
  http::RequestHead head{.method = "GET", .target = std::string(kPath)};
  const Deadline deadline = host_.loop.deadline_in(kFeedConnect);
  CO_TRY(const auto response, co_await client_.request(control_, std::move(head), {}, deadline));
  if (response->head.status != 200) {
    co_return fail(Code::unavailable, "{} answered {}", control_.str(), response->head.status);
  }
  CO_TRY(std::string text,
         co_await async::with_deadline(host_.loop, deadline,
                                       http::read_all(response->body(), kMaxKeysAnswer), "keys"));
  const auto value = json::parse(text);
  crypto::wipe(text);
  if (!value) co_return fail(value.error());
  CO_TRY(keys_, secrets::KindKeys::from(secrets::Kind::certificate_key, *value));
  co_return Result<void>();
}

}  // namespace perigee::router
