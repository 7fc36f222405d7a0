#include "worker/images.h"

#include "async/combine.h"
#include "base/log.h"
#include "worker/limits.h"

namespace perigee::worker {

ImageStore::ImageStore(sys::Host& host, const std::string& state_dir, sys::Address control)
    : host_(host),
      control_(std::move(control)),
      client_(host, {}),
      blobs_(host, state_dir + "/blobs"),
      disks_(host, state_dir + "/disks") {}

// The manifest first: it says what else there is.
async::Task<Result<void>> ImageStore::bring(std::string manifest_digest) {
  for (;;) {
    CO_TRY(const std::vector<std::string> missing,
           co_await image::missing_blobs(blobs_, manifest_digest));
    if (missing.empty()) co_return Result<void>();
    for (const std::string& digest : missing) CO_TRY_VOID(co_await bring_blob(digest));
  }
}

// Verified on the way in, like every blob.
async::Task<Result<void>> ImageStore::bring_blob(std::string digest) {
  http::RequestHead head{.method = "GET", .target = "/internal/v1/blobs/" + digest};
  head.headers.set("Host", "control");
  CO_TRY_AS(
      const auto response,
      co_await client_.request(control_, std::move(head), {}, host_.loop.deadline_in(kBlobAnswer)),
      "blob " + digest);
  if (response->head.status != 200) {
    co_return fail(response->head.status == 404 ? Code::not_found : Code::unavailable,
                   "blob {}: control answered {}", digest, response->head.status);
  }
  CO_TRY(const auto upload, co_await blobs_.begin(digest));
  for (;;) {
    std::string piece(kBlobPiece, '\0');
    CO_TRY(const std::size_t n,
           co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kBlobSilence),
                                         response->body().read(piece), "blob " + digest));
    if (n == 0) co_return co_await upload->commit();
    piece.resize(n);
    CO_TRY_VOID(co_await upload->write(std::move(piece)));
  }
}

async::Task<Result<PreparedImage>> ImageStore::prepare(model::ImageRef image, image::Login login,
                                                       int max_layers) {
  const MonotonicTime began = host_.loop.now();
  const std::string digest = image.digest;
  if (image.registry.empty()) {
    CO_TRY_VOID_AS(co_await bring(digest), "uploaded image");
  }
  CO_TRY(image::Image fetched,
         co_await image::fetch(host_, blobs_, std::move(image), std::move(login),
                               [](const image::Progress&) {}));
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
