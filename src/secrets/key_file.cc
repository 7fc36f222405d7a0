#include "secrets/key_file.h"

#include <algorithm>

#include "crypto/aead.h"
#include "secrets/limits.h"

namespace perigee::secrets {
namespace {

constexpr unsigned kMode = 0600;

async::Task<Result<KeyRing>> read_ring(sys::Host& host, std::string path) {
  CO_TRY_AS(std::string text, co_await host.disk.read_file(path, kMaxKeyFileBytes),
            "the key ring (perigeed makes it at its first start)");
  auto ring = KeyRing::parse(text);
  crypto::wipe(text);
  if (!ring) co_return fail(std::move(ring).error().with(path));
  co_return *std::move(ring);
}

async::Task<Result<void>> write_ring(sys::Host& host, std::string path, std::string text) {
  co_return co_await host.disk.write_file(std::move(path), std::move(text), kMode,
                                          sys::Durability::synced);
}

}  // namespace

async::Task<Result<void>> KeyFile::ensure(sys::Host& host, std::string path) {
  CO_TRY(const bool there, co_await host.disk.exists(path));
  if (there) co_return Result<void>();
  const KeyRing ring = KeyRing::create(host.entropy, host.clock.wall());
  co_return co_await write_ring(host, std::move(path), ring.text());
}

async::Task<Result<void>> KeyFile::install(sys::Host& host, std::string path, std::string text) {
  CO_TRY_AS([[maybe_unused]] const KeyRing ring, KeyRing::parse(text), "key ring");
  co_return co_await write_ring(host, std::move(path), std::move(text));
}

async::Task<Result<std::unique_ptr<KeyFile>>> KeyFile::open(sys::Host& host, std::string path) {
  CO_TRY(KeyRing ring, co_await read_ring(host, path));
  co_return std::unique_ptr<KeyFile>(new KeyFile(host, std::move(path), std::move(ring)));
}

async::Task<Result<std::string>> KeyFile::open_value(Place place, std::string sealed) {
  auto plain = ring_.open(place, sealed);
  if (plain || plain.error().code != Code::not_found) co_return plain;
  CO_TRY(ring_, co_await read_ring(host_, path_));
  co_return ring_.open(place, sealed);
}

async::Task<Result<void>> KeyFile::rotate() {
  const async::Semaphore::Permit permit = co_await changing_.acquire();
  KeyRing next = ring_;
  CO_TRY_VOID(next.rotate(host_.entropy, host_.clock.wall()));
  co_return co_await replace(std::move(next));
}

async::Task<Result<void>> KeyFile::retire(std::string key_id) {
  const async::Semaphore::Permit permit = co_await changing_.acquire();
  KeyRing next = ring_;
  next.retire(key_id);
  co_return co_await replace(std::move(next));
}

async::Task<Result<void>> KeyFile::adopt(std::string text) {
  const async::Semaphore::Permit permit = co_await changing_.acquire();
  auto ring = KeyRing::parse(text);
  crypto::wipe(text);
  if (!ring) co_return fail(std::move(ring).error().with("key ring"));
  if (ring->is_restricted()) co_return fail(Code::invalid_argument, "key ring: it is restricted");
  if (std::ranges::count(ring->key_ids(), ring_.primary()) == 0) {
    co_return fail(Code::conflict, "key ring: it lacks {}, which seals here", ring_.primary());
  }
  co_return co_await replace(*std::move(ring));
}

async::Task<Result<void>> KeyFile::replace(KeyRing ring) {
  CO_TRY_VOID(co_await write_ring(host_, path_, ring.text()));
  ring_ = std::move(ring);
  co_return Result<void>();
}

}  // namespace perigee::secrets
