#include "bin/join_control.h"

#include "control/records.h"
#include "crypto/certificate.h"
#include "secrets/key_file.h"
#include "store/open.h"

namespace perigee::bin {
namespace {

constexpr unsigned kPrivate = 0600;
constexpr unsigned kPublic = 0644;

// A ring that seals is a control node's: joining would replace it, and what it sealed were lost.
async::Task<Result<void>> check_no_own_keys(sys::Host& host, std::string path) {
  CO_TRY(const bool there, co_await host.disk.exists(path));
  if (!there) co_return Result<void>();
  CO_TRY(const auto keys, co_await secrets::KeyFile::open(host, path));
  if (keys->ring().is_restricted()) co_return Result<void>();
  co_return fail(Code::conflict,
                 "{} is the key ring of a control: this server has run one of its own. Move that "
                 "file away if nothing is needed that it opens, then join again",
                 path);
}

async::Task<Result<void>> check_store(sys::Host& host, config::StoreConfig config,
                                      model::JoinToken token) {
  CO_TRY_AS(const auto store, co_await store::open_store(host, std::move(config), ""), "[store]");
  CO_TRY_AS(const auto entry, co_await store->get(std::string(control::kFleetKey)), "[store]");
  if (!entry) {
    co_return fail(Code::invalid_argument,
                   "[store]: there is no fleet in it; endpoints and prefix must be those of the "
                   "control nodes that are there");
  }
  CO_TRY(const json::Value value, json::parse(entry->value));
  CO_TRY_AS(const control::FleetRecord fleet, control::fleet_record_from(value), "[store]");
  const auto fingerprint = crypto::fingerprint(fleet.ca_certificate);
  if (fingerprint && *fingerprint == token.ca_fingerprint) co_return Result<void>();
  co_return fail(Code::invalid_argument,
                 "[store]: the fleet in it (id {}) is not the one that the token is for", fleet.id);
}

}  // namespace

async::Task<Result<void>> check_may_run_control(sys::Host& host, config::Paths paths,
                                                config::NodeConfig node, model::JoinToken token) {
  if (node.store.engine != config::StoreConfig::Engine::etcd) {
    co_return fail(Code::invalid_argument,
                   "control here needs the fleet's etcd: write {} first, with [store] as the other "
                   "control nodes have it (docs/operate/fleet.md), or join with `roles` that leave "
                   "control away",
                   paths.config_file);
  }
  if (node.fleet_endpoint.empty()) {
    co_return fail(Code::invalid_argument,
                   "{}: [fleet] endpoint is missing: every node must reach one with control",
                   paths.config_file);
  }
  CO_TRY_VOID(co_await check_no_own_keys(host, paths.key_ring()));
  co_return co_await check_store(host, std::move(node.store), std::move(token));
}

async::Task<Result<void>> keep_control_files(sys::Host& host, config::Paths paths,
                                             model::ControlFiles files) {
  const auto synced = sys::Durability::synced;
  CO_TRY_VOID(
      co_await host.disk.write_file(paths.token(), files.api_token + "\n", kPrivate, synced));
  CO_TRY_VOID(
      co_await host.disk.write_file(paths.ca_key(), std::move(files.ca_key), kPrivate, synced));
  co_return co_await host.disk.write_file(paths.ca_certificate(), std::move(files.ca_certificate),
                                          kPublic, synced);
}

}  // namespace perigee::bin
