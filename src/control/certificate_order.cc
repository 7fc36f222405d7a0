#include "control/certificate_order.h"

#include "async/combine.h"
#include "base/log.h"
#include "control/limits.h"
#include "crypto/aead.h"
#include "crypto/certificate_check.h"

namespace perigee::control {
namespace {

constexpr int kAttempts = 4;  // of a change, where somebody else is faster
constexpr std::string_view kUnfinished = "the last order did not come to its end";

}  // namespace

secrets::Place acme_account_place() {
  return {secrets::Kind::acme_account, "account"};
}

// It counts as failed until it has succeeded, so that one that takes control down is not repeated
// at once.
async::Task<Result<void>> CertificateOrder::run() {
  const WallTime now = context_.host.clock.wall();
  CO_TRY_VOID(co_await update([now](HostRecord& record) {
    record.tried_at = now;
    record.challenge.reset();
    ++record.failures;
    if (record.failures > 1 && record.last_error.empty()) record.last_error = kUnfinished;
  }));
  const Result<HostCertificate> got = co_await obtain();
  CO_TRY_VOID(co_await update([&got](HostRecord& record) {
    record.challenge.reset();
    record.last_error = got ? std::string() : got.error().context;
    if (!got) return;
    record.failures = 0;
    const HostCertificate* known = record.find(got->key_type);
    const bool theirs = known != nullptr && known->source == HostCertificate::Source::uploaded;
    if (record.automatic && !theirs) record.set(*got);
  }));
  if (!got) co_return fail(got.error());
  co_return Result<void>();
}

async::Task<Result<void>> CertificateOrder::update(Change change) {
  for (int attempt = 1;; ++attempt) {
    const auto found = context_.desired.hosts().find(host_);
    if (found == context_.desired.hosts().end())
      co_return fail(Code::cancelled, "{} was given up", host_);
    Stored<HostRecord> stored = found->second;
    change(stored.value);
    store::Transaction transaction;
    put(transaction, stored.value, stored.revision);
    Result<void> done = co_await context_.commit(std::move(transaction));
    if (done || done.error().code != Code::conflict || attempt == kAttempts) co_return done;
  }
}

async::Task<Result<HostCertificate>> CertificateOrder::obtain() {
  sys::Host& host = context_.host;
  const std::string name = host_;
  const crypto::KeyType type = order_.key_type;
  CO_TRY(crypto::RequestedKey request, co_await host.pool.run(host.loop, [name, type] {
    return crypto::request_host_certificate(name, type);
  }));
  CO_TRY(std::string account, co_await account_key());
  const Result<std::string> chain =
      co_await context_.authority->order({.host = host_,
                                          .request_pem = request.request_pem,
                                          .account_key = account,
                                          .challenge = order_.challenge},
                                         *this, host.loop.deadline_in(kOrderBound));
  crypto::wipe(account);
  if (!chain) {
    co_return fail(chain.error().with(fmt::format("by {}", model::name(order_.challenge))));
  }
  const WallTime now = host.clock.wall();
  CO_TRY_AS(crypto::CheckedCertificate checked,
            crypto::check_certificate(*chain, request.private_key_pem, host_, now),
            "what the authority sent");
  auto sealed = context_.keys.ring().seal(Certificates::place_of(host_), request.private_key_pem,
                                          host.entropy);
  crypto::wipe(request.private_key_pem);
  if (!sealed) co_return fail(std::move(sealed).error());
  co_return HostCertificate{.key_type = checked.key_type,
                            .source = HostCertificate::Source::acme,
                            .chain_pem = std::move(checked.chain_pem),
                            .private_key = *std::move(sealed),
                            .issuer = std::move(checked.issuer),
                            .obtained_at = now,
                            .not_before = checked.not_before,
                            .not_after = checked.not_after};
}

// The fleet has one. Orders that begin together may both make it: the first one's stays.
async::Task<Result<std::string>> CertificateOrder::account_key() {
  if (!context_.desired.acme_account()) {
    const Result<void> made = co_await make_account();
    if (!made && made.error().code != Code::conflict) co_return fail(made.error());
  }
  const auto& account = context_.desired.acme_account();
  if (!account) co_return fail(Code::conflict, "the account's key: somebody else is making it");
  co_return context_.keys.ring().open(acme_account_place(), account->value.key);
}

async::Task<Result<void>> CertificateOrder::make_account() {
  CO_TRY(std::string key, crypto::create_account_key());
  AcmeAccountRecord record;
  CO_TRY(record.key, context_.keys.ring().seal(acme_account_place(), key, context_.host.entropy));
  crypto::wipe(key);
  store::Transaction transaction;
  transaction.expect(std::string(kAcmeAccountKey), 0);
  transaction.put(std::string(kAcmeAccountKey), to_json(record).dump());
  co_return co_await context_.commit(std::move(transaction));
}

// A router that is silent is not waited for: another may be asked.
async::Task<Result<void>> CertificateOrder::prove(model::RouteChallenge challenge) {
  CO_TRY_VOID(co_await update([&challenge](HostRecord& record) { record.challenge = challenge; }));
  async::Loop& loop = context_.host.loop;
  RouteMarks marks = co_await context_.sharing.spread();
  const auto followed = co_await async::until(loop, loop.now() + context_.times.challenge,
                                              routers_have_followed(std::move(marks)));
  if (!followed) log_info("control", "{}: not every router knows its challenge yet", host_);
  co_return Result<void>();
}

async::Task<bool> CertificateOrder::routers_have_followed(RouteMarks marks) {
  while (!context_.loads.have_followed(marks)) co_await context_.loads.changed().wait();
  co_return true;
}

}  // namespace perigee::control
