#include "router/certificate_keeper.h"

#include <utility>

#include "async/combine.h"
#include "base/log.h"
#include "crypto/aead.h"
#include "router/limits.h"
#include "router/ticket_keys.h"

namespace perigee::router {
namespace {

constexpr std::string_view kPath = "/internal/v1/keys/certificate-key";

bool same_certificate(const routing::RoutePtr& a, const routing::RoutePtr& b) {
  return a == b || (a != nullptr && b != nullptr && a->hosts == b->hosts &&
                    a->certificate_pem == b->certificate_pem && a->private_key == b->private_key);
}

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
        if (old == nullptr || (now != nullptr && same_certificate(*old, *now))) return;
        waiting_.erase(name);
        if (now != nullptr && (*now)->hosts == (*old)->hosts && !(*now)->certificate_pem.empty())
          return;
        for (const std::string& host : (*old)->hosts) tls_.remove_certificate(host);
      });
  routing::RouteMap::differences(before.apps(), after.apps(),
                                 [this](const std::string&, Route old, Route now) {
                                   if (now == nullptr || (*now)->certificate_pem.empty()) return;
                                   if (old == nullptr || !same_certificate(*old, *now))
                                     install(*now);
                                 });
}

void CertificateKeeper::install(const routing::RoutePtr& route) {
  if (route->hosts.empty()) return;
  auto key = keys_.open(route->hosts.front(), route->private_key);
  if (!key && key.error().code == Code::not_found) {
    waiting_[route->app.str()] = route;
    awaited_.notify_all();
    return;
  }
  if (!key) return log_warning("router", "{}", key.error().context);
  for (const std::string& host : route->hosts) {
    const auto set = tls_.set_certificate(host, route->certificate_pem, *key);
    if (!set) log_warning("router", "{}", set.error().context);
  }
  crypto::wipe(*key);
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
