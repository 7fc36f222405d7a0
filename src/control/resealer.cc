#include "control/resealer.h"

#include <algorithm>

#include "async/combine.h"
#include "base/log.h"
#include "control/certificate_order.h"
#include "control/limits.h"
#include "control/registry_logins.h"
#include "control/volume_frontend.h"
#include "crypto/aead.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;

async::Task<bool> one_change(async::Notify& changed) {
  co_await changed.wait();
  co_return true;
}

secrets::Place place_of(const AppName& app, std::string_view name) {
  return {secrets::Kind::app_secret, fmt::format("{}/{}", app, name)};
}

bool is_full(const store::Transaction& transaction) {
  return transaction.changes.size() >= kResealBatch;
}

}  // namespace

void Resealer::add_routes(api::RouteTable& table, const api::Guard& guard) {
  table.answer("GET", "/v1/keys", guard, [this](Call&) { return list(); });
  table.answer("POST", "/v1/keys/rotate", guard, [this](Call&) { return rotate(); });
}

json::Value Resealer::view() const {
  const auto used = uses();
  json::Value keys = json::array();
  for (const std::string& id : context_.keys.ring().key_ids()) {
    const auto found = used.find(id);
    keys.push(json::object({{"id", id}, {"uses", found == used.end() ? 0 : found->second}}));
  }
  return json::object({{"primary", context_.keys.ring().primary()}, {"keys", std::move(keys)}});
}

async::Task<Result<Reply>> Resealer::list() {
  co_return Reply{200, view()};
}

async::Task<Result<Reply>> Resealer::rotate() {
  CO_TRY_VOID(co_await context_.key_sharing.check_all_answer());
  CO_TRY_VOID(co_await context_.keys.rotate());
  CO_TRY_VOID_AS(co_await context_.key_sharing.share(), "rotate again to repeat it");
  log_info("control", "the key ring's primary key is {} now", context_.keys.ring().primary());
  context_.changed.notify_all();
  co_return Reply{202, view()};
}

async::Task<void> Resealer::run() {
  async::Loop& loop = context_.host.loop;
  for (;;) {
    if (context_.keys.ring().key_ids().size() == 1) {
      unused_since_.clear();
      co_await context_.changed.wait();
      continue;
    }
    const Result<Progress> done = co_await step();
    if (done == Progress::made) continue;
    if (!done && done.error().code != Code::conflict)
      log_warning("control", "sealing anew: {}", done.error().context);
    co_await async::until(loop, loop.now() + kResealPause, one_change(context_.changed));
  }
}

async::Task<Result<Resealer::Progress>> Resealer::step() {
  store::Transaction transaction = next_batch();
  if (!transaction.changes.empty()) {
    CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
    co_return Progress::made;
  }
  CO_TRY(const std::optional<std::string> ca_key, fleet_.ca_key_sealed_anew());
  if (ca_key) {
    CO_TRY_VOID(co_await seal_fleet_anew(*ca_key));
    co_return Progress::made;
  }
  if (!context_.keys.ring().is_current(context_.certificates.sealed_key())) {
    CO_TRY_VOID(co_await context_.certificates.seal_key_anew());
    co_return Progress::made;
  }
  co_return co_await retire_unused();
}

async::Task<Result<void>> Resealer::seal_fleet_anew(std::string ca_key) {
  Stored<FleetRecord> fleet = *context_.desired.fleet();
  fleet.value.ca_key = std::move(ca_key);
  store::Transaction transaction;
  transaction.expect(std::string(kFleetKey), fleet.revision);
  transaction.put(std::string(kFleetKey), to_json(fleet.value).dump());
  co_return co_await context_.commit(std::move(transaction));
}

store::Transaction Resealer::next_batch() const {
  store::Transaction transaction;
  add_secrets(transaction);
  add_certificates(transaction);
  add_hosts(transaction);
  add_acme_account(transaction);
  add_machines(transaction);
  add_volumes(transaction);
  add_registries(transaction);
  return transaction;
}

Result<std::string> Resealer::sealed_anew(const secrets::Place& place,
                                          const std::string& sealed) const {
  const secrets::KeyRing& ring = context_.keys.ring();
  if (ring.is_current(sealed)) return sealed;
  auto plain = ring.open(place, sealed);
  if (!plain) {  // it keeps its key from being retired, and others from nothing
    log_error("control", "sealing anew: {}", plain.error().context);
    return fail(plain.error());
  }
  auto anew = ring.seal(place, *plain, context_.host.entropy);
  crypto::wipe(*plain);
  return anew;
}

void Resealer::add_secrets(store::Transaction& transaction) const {
  for (const auto& [id, stored] : context_.desired.secrets()) {
    if (is_full(transaction)) return;
    SecretRecord record = stored.value;
    const auto anew = sealed_anew(place_of(id.first, id.second), record.sealed);
    if (!anew || *anew == record.sealed) continue;
    record.sealed = *anew;
    put(transaction, id.first, id.second, record, stored.revision);
  }
}

void Resealer::add_certificates(store::Transaction& transaction) const {
  for (const auto& [host, stored] : context_.desired.certificates()) {
    if (is_full(transaction)) return;
    CertificateRecord record = stored.value;
    if (record.private_key.empty()) continue;  // about to be renewed
    const auto anew = sealed_anew(Certificates::place_of(host), record.private_key);
    if (!anew || *anew == record.private_key) continue;
    record.private_key = *anew;
    transaction.expect(certificate_key(host), stored.revision);
    transaction.put(certificate_key(host), to_json(record).dump());
  }
}

void Resealer::add_hosts(store::Transaction& transaction) const {
  for (const auto& [host, stored] : context_.desired.hosts()) {
    if (is_full(transaction)) return;
    HostRecord record = stored.value;
    for (HostCertificate& each : record.certificates) {
      const auto anew = sealed_anew(Certificates::place_of(host), each.private_key);
      if (anew) each.private_key = *anew;
    }
    if (record != stored.value) put(transaction, record, stored.revision);
  }
}

void Resealer::add_acme_account(store::Transaction& transaction) const {
  const auto& account = context_.desired.acme_account();
  if (!account || is_full(transaction)) return;
  const auto anew = sealed_anew(acme_account_place(), account->value.key);
  if (!anew || *anew == account->value.key) return;
  transaction.expect(std::string(kAcmeAccountKey), account->revision);
  transaction.put(std::string(kAcmeAccountKey), to_json(AcmeAccountRecord{*anew}).dump());
}

void Resealer::add_machines(store::Transaction& transaction) const {
  for (const auto& [id, stored] : context_.desired.machines()) {
    if (is_full(transaction)) return;
    model::Machine machine = stored.value;
    for (auto& [name, sealed] : machine.secrets) {
      const auto anew = sealed_anew(place_of(machine.app, name), sealed);
      if (anew) sealed = *anew;
    }
    if (machine.secrets != stored.value.secrets) put(transaction, machine, stored.revision);
  }
}

void Resealer::add_volumes(store::Transaction& transaction) const {
  for (const auto& [id, stored] : context_.desired.volumes()) {
    if (is_full(transaction)) return;
    if (!stored.value.encrypted) continue;
    model::Volume volume = stored.value;
    const auto anew = sealed_anew(place_of_key(id), volume.sealed_key);
    if (!anew || *anew == volume.sealed_key) continue;
    volume.sealed_key = *anew;
    put(transaction, volume, stored.revision);
  }
}

void Resealer::add_registries(store::Transaction& transaction) const {
  for (const auto& [registry, stored] : context_.desired.registries()) {
    if (is_full(transaction)) return;
    model::RegistryLogin login = stored.value;
    const auto anew = sealed_anew(place_of_registry(registry), login.sealed_password);
    if (!anew || *anew == login.sealed_password) continue;
    login.sealed_password = *anew;
    put(transaction, login, stored.revision);
  }
}

std::map<std::string, std::int64_t> Resealer::uses() const {
  std::map<std::string, std::int64_t> out;
  const auto count = [&out](const std::string& text) {
    if (const auto sealed = secrets::parse_sealed(text)) ++out[sealed->key_id];
  };
  for (const auto& [id, stored] : context_.desired.secrets()) count(stored.value.sealed);
  for (const auto& [host, stored] : context_.desired.certificates())
    count(stored.value.private_key);
  for (const auto& [host, stored] : context_.desired.hosts()) {
    for (const HostCertificate& each : stored.value.certificates) count(each.private_key);
  }
  if (context_.desired.acme_account()) count(context_.desired.acme_account()->value.key);
  for (const auto& [id, stored] : context_.desired.machines()) {
    for (const auto& [name, sealed] : stored.value.secrets) count(sealed);
  }
  for (const auto& [id, stored] : context_.desired.volumes()) count(stored.value.sealed_key);
  for (const auto& [registry, stored] : context_.desired.registries())
    count(stored.value.sealed_password);
  count(context_.certificates.sealed_key());
  if (context_.desired.fleet()) count(context_.desired.fleet()->value.ca_key);
  for (const auto& [id, node] : context_.observed.nodes()) {
    for (const std::string& key : node.report.sealing_keys) ++out[key];
  }
  return out;
}

// Only when all nodes have said what they hold; and some time later, for what is on its way to one.
async::Task<Result<Resealer::Progress>> Resealer::retire_unused() {
  const bool all_heard = std::ranges::all_of(context_.desired.nodes(), [&](const auto& node) {
    return context_.observed.reported(node.first);
  });
  const MonotonicTime now = context_.host.loop.now();
  const auto used = uses();
  for (const std::string& id : context_.keys.ring().key_ids()) {
    if (id == context_.keys.ring().primary()) continue;
    if (!all_heard || used.contains(id)) {
      unused_since_.erase(id);
      continue;
    }
    const MonotonicTime since = unused_since_.try_emplace(id, now).first->second;
    if (now - since < context_.times.key_retirement) continue;
    CO_TRY_VOID(co_await context_.key_sharing.check_all_answer());
    CO_TRY_VOID(co_await context_.keys.retire(id));
    CO_TRY_VOID(co_await context_.key_sharing.share());
    log_info("control", "key {} is retired: nothing is sealed with it", id);
    co_return Progress::made;
  }
  co_return Progress::none;
}

}  // namespace perigee::control
