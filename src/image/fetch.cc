// resolve and fetch: images from registries, layers beside each other, with retries.
#include <algorithm>
#include <set>
#include <utility>

#include "async/combine.h"
#include "crypto/hash.h"
#include "image/blob_writer.h"
#include "image/image.h"
#include "image/limits.h"
#include "image/load.h"
#include "image/pull.h"
#include "image/registry.h"

namespace perigee::image {
namespace {

constexpr Duration kFirstBackoff = 500ms;

// Runs `job` on the pool until it succeeds, fails for good, or has had its attempts.
template <typename Job, typename T = std::invoke_result_t<Job&>>
async::Task<T> with_retries(sys::Host& host, Job job) {
  for (int attempt = 1;; ++attempt) {
    T result = co_await host.pool.run(host.loop, job);
    if (result || attempt == kMaxAttempts) co_return result;
    const Code code = result.error().code;
    if (code != Code::unavailable && code != Code::deadline_exceeded) co_return result;
    co_await host.loop.sleep(kFirstBackoff * (1 << (attempt - 1)));
  }
}

// Hands progress from pool threads to the loop's; gone with the coroutine that owns it.
class ProgressBoard {
 public:
  ProgressBoard(async::Loop& loop, OnProgress to)
      : loop_(loop), to_(std::make_shared<OnProgress>(std::move(to))) {}

  void report(const Layer& layer, std::uint64_t done) const {
    if (*to_) (*to_)({.digest = layer.digest, .done = done, .total = layer.size});
  }
  // For a pool thread; tells of every MiB.
  OnBytes watch(const Layer& layer) const {
    return [&loop = loop_, to = std::weak_ptr<OnProgress>(to_), digest = layer.digest,
            total = layer.size, told = std::uint64_t{0}](std::uint64_t done) mutable {
      if (done - told < kMiB && done != total) return;
      told = done;
      loop.post([to, progress = Progress{.digest = digest, .done = done, .total = total}] {
        if (const auto alive = to.lock(); alive && *alive) (*alive)(progress);
      });
    };
  }

 private:
  async::Loop& loop_;
  std::shared_ptr<OnProgress> to_;
};

struct LayerPull {
  sys::Host& host;
  const Registry& registry;
  std::string directory;
  const ProgressBoard& board;
  const CancelFlag& cancel;
};

// The first that fails stops the others.
async::Task<Result<void>> pull_one(LayerPull pull, Layer layer) {
  const auto job = [registry = pull.registry, directory = pull.directory, layer,
                    watch = pull.board.watch(layer)]() mutable {
    return pull_layer(registry, directory, layer, watch);
  };
  Result<void> result = co_await with_retries(pull.host, job);
  if (result) {
    pull.board.report(layer, layer.size);
  } else {
    *pull.cancel = true;
  }
  co_return result;
}

std::vector<Layer> distinct(const std::vector<Layer>& layers) {
  std::vector<Layer> out;
  std::set<std::string> seen;
  for (const Layer& layer : layers) {
    if (seen.insert(layer.digest).second) out.push_back(layer);
  }
  return out;
}

async::Task<Result<void>> pull_layers(LayerPull pull, std::vector<Layer> layers) {
  std::vector<async::Task<Result<void>>> tasks;
  for (const Layer& layer : distinct(layers)) tasks.push_back(pull_one(pull, layer));
  const auto results = co_await async::all_of(pull.host.loop, std::move(tasks), kParallelLayers);
  Result<void> worst;
  for (const auto& result : results) {
    const bool follows = !result && result.error().code == Code::cancelled;
    if (!result && (worst || !follows)) worst = result;
  }
  co_return worst;
}

struct Found {
  Image image;
  Registry registry;  // knows by now how to show who asks
};

// Manifest and configuration; nothing is asked where both are there.
Result<Found> documents(Registry registry, const std::string& directory,
                        const std::string& digest) {
  if (auto image = load_now(directory, digest)) return Found{*std::move(image), registry};
  TRY(const std::string found, pull_documents(registry, directory, digest));
  TRY(Image image, load_now(directory, found));
  return Found{std::move(image), std::move(registry)};
}

Result<std::string> credentials_of(const Login& login, const std::string& registry) {
  if (login.empty()) return stored_credentials(registry);
  return crypto::base64_encode(login.username + ":" + login.password);
}

async::Task<Result<Registry>> open_registry(sys::Host& host, std::string registry,
                                            std::string repository, Login login,
                                            CancelFlag cancel) {
  co_return co_await host.pool.run(
      host.loop, [registry, repository, login, cancel]() -> Result<Registry> {
        TRY(std::string credentials, credentials_of(login, registry));
        return Registry(registry, repository, std::move(credentials), cancel);
      });
}

async::Task<Result<Image>> fetch_from_registry(sys::Host& host, std::string directory,
                                               model::ImageRef image, Login login,
                                               OnProgress progress) {
  const CancelOnExit cancel;
  const ProgressBoard board(host.loop, std::move(progress));
  CO_TRY(const Registry registry, co_await open_registry(host, image.registry, image.repository,
                                                         std::move(login), cancel.flag()));
  const auto job = [registry, directory, digest = image.digest] {
    return documents(registry, directory, digest);
  };
  CO_TRY(Found found, co_await with_retries(host, job));
  const LayerPull pull{.host = host,
                       .registry = found.registry,
                       .directory = directory,
                       .board = board,
                       .cancel = cancel.flag()};
  CO_TRY_VOID(co_await pull_layers(pull, found.image.manifest.layers));
  co_return std::move(found.image);
}

}  // namespace

async::Task<Result<model::ImageRef>> resolve(sys::Host& host, BlobStore& blobs, Reference reference,
                                             Login login) {
  const CancelOnExit cancel;
  CO_TRY(const Registry registry,
         co_await open_registry(host, reference.registry, reference.repository, std::move(login),
                                cancel.flag()));
  const std::string wanted = reference.digest.empty() ? reference.tag : reference.digest;
  const auto job = [registry = Registry(registry), wanted,
                    directory = blobs.directory()]() mutable {
    return pull_documents(registry, directory, wanted);
  };
  CO_TRY(std::string digest, co_await with_retries(host, job));
  co_return model::ImageRef{.registry = reference.registry,
                            .repository = reference.repository,
                            .tag = reference.tag,
                            .digest = std::move(digest)};
}

async::Task<Result<Image>> fetch(sys::Host& host, BlobStore& blobs, model::ImageRef image,
                                 Login login, OnProgress progress) {
  if (image.registry.empty()) co_return co_await load(blobs, image.digest);
  CO_TRY_VOID(parse_digest(image.digest));
  co_return co_await fetch_from_registry(host, blobs.directory(), std::move(image),
                                         std::move(login), std::move(progress));
}

}  // namespace perigee::image
