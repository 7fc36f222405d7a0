#include "mesh/key_file.h"

#include "crypto/aead.h"
#include "json/json.h"
#include "mesh/limits.h"

namespace perigee::mesh {
namespace {

// The file has milliseconds: what is held in memory is what would be read again.
WallTime from_ms(std::int64_t ms) {
  return WallTime{} + std::chrono::milliseconds(ms);
}

}  // namespace

std::string to_text(const NodeKeys& keys) {
  json::Value out =
      json::object({{"key", keys.current.base64()}, {"taken_at_ms", keys.taken_at.unix_ms()}});
  if (keys.next) out.set("next_key", keys.next->base64());
  if (keys.announced_at) out.set("announced_at_ms", keys.announced_at->unix_ms());
  return out.dump_pretty() + "\n";
}

Result<NodeKeys> parse_node_keys(std::string_view text) {
  TRY(const json::Value document, json::parse(text));
  TRY(const std::string current, document.require_string("key"));
  TRY(PrivateKey key, PrivateKey::parse(current));
  TRY(const std::int64_t taken, document.optional_int("taken_at_ms", 0));
  NodeKeys keys{.current = std::move(key), .taken_at = from_ms(taken)};
  TRY(const std::string next, document.optional_string("next_key"));
  if (next.empty()) return keys;
  TRY(keys.next, PrivateKey::parse(next));
  TRY(const std::int64_t announced, document.optional_int("announced_at_ms", 0));
  if (announced != 0) keys.announced_at = from_ms(announced);
  return keys;
}

async::Task<Result<KeyFile>> KeyFile::open(sys::Host& host, std::string path) {
  CO_TRY(const bool there, co_await host.disk.exists(path));
  if (!there) {
    NodeKeys keys{.current = PrivateKey::generate(host.entropy),
                  .taken_at = from_ms(host.clock.wall().unix_ms())};
    CO_TRY_VOID(co_await save(host, path, keys));
    co_return KeyFile(host, std::move(path), std::move(keys));
  }
  CO_TRY(std::string text, co_await host.disk.read_file(path, kMaxKeyFile));
  auto keys = parse_node_keys(text);
  crypto::wipe(text);
  if (!keys) co_return fail(std::move(keys).error().with(path));
  co_return KeyFile(host, std::move(path), *std::move(keys));
}

async::Task<Result<void>> KeyFile::save(sys::Host& host, std::string path, NodeKeys keys) {
  constexpr unsigned kOwnerOnly = 0600;
  co_return co_await host.disk.write_file(std::move(path), to_text(keys), kOwnerOnly,
                                          sys::Durability::synced);
}

async::Task<Result<void>> KeyFile::replace(NodeKeys keys) {
  CO_TRY_VOID(co_await save(*host_, path_, keys));
  keys_ = std::move(keys);
  co_return Result<void>();
}

async::Task<Result<void>> KeyFile::prepare_next() {
  if (keys_.next) co_return Result<void>();
  NodeKeys keys = keys_;
  keys.next = PrivateKey::generate(host_->entropy);
  co_return co_await replace(std::move(keys));
}

async::Task<Result<void>> KeyFile::announced(WallTime now) {
  if (!keys_.next) co_return fail(Code::conflict, "{}: no next key is prepared", path_);
  NodeKeys keys = keys_;
  keys.announced_at = from_ms(now.unix_ms());
  co_return co_await replace(std::move(keys));
}

async::Task<Result<void>> KeyFile::switch_to_next(WallTime now) {
  if (!keys_.announced_at) co_return fail(Code::conflict, "{}: no next key is announced", path_);
  co_return co_await replace({.current = *keys_.next, .taken_at = from_ms(now.unix_ms())});
}

}  // namespace perigee::mesh
