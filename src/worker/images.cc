#include "worker/images.h"

#include "base/log.h"

namespace perigee::worker {

ImageStore::ImageStore(sys::Host& host, const std::string& state_dir)
    : host_(host), blobs_(host, state_dir + "/blobs"), disks_(host, state_dir + "/disks") {}

async::Task<Result<PreparedImage>> ImageStore::prepare(model::ImageRef image, int max_layers) {
  const MonotonicTime began = host_.loop.now();
  const std::string digest = image.digest;
  CO_TRY(image::Image fetched,
         co_await image::fetch(host_, blobs_, std::move(image), [](const image::Progress&) {}));
  PreparedImage prepared;
  CO_TRY(prepared.layers, co_await disks_.disks_for(blobs_, fetched.manifest, max_layers));
  prepared.config = std::move(fetched.config);
  log_info("worker", "image {}: {} disks ready in {} ms", digest, prepared.layers.size(),
           to_ms(host_.loop.now() - began));
  co_return prepared;
}

async::Task<Result<void>> ImageStore::make_upper(std::string path, std::uint64_t bytes) {
  CO_TRY_VOID(co_await host_.disk.remove(path));
  co_return co_await image::make_upper_disk(host_, std::move(path), bytes);
}

}  // namespace perigee::worker
