#include "control/images.h"

#include <array>
#include <span>

#include "http/file_body.h"

namespace perigee::control {

async::Task<Result<model::ImageRef>> StoredImages::resolve(std::string image, image::Login login) {
  if (!image.starts_with("sha256:")) {
    CO_TRY(image::Reference reference, image::parse_reference(image));
    co_return co_await image::resolve(host_, blobs_, std::move(reference), std::move(login));
  }
  CO_TRY(const std::string digest, image::parse_digest(image));
  // Says which blob is missing, and refuses what is no image, before a machine is made of it.
  CO_TRY_AS([[maybe_unused]] const image::Image loaded, co_await image::load(blobs_, digest),
            "uploaded image");
  co_return model::ImageRef{.registry = {}, .repository = {}, .tag = {}, .digest = digest};
}

async::Task<Result<bool>> StoredImages::has_blob(std::string digest) {
  CO_TRY(std::string valid, image::parse_digest(digest));
  co_return co_await blobs_.has(std::move(valid));
}

async::Task<Result<std::vector<std::string>>> StoredImages::missing_blobs(std::string digest) {
  CO_TRY(std::string valid, image::parse_digest(digest));
  co_return co_await image::missing_blobs(blobs_, std::move(valid));
}

async::Task<Result<void>> StoredImages::put_blob(std::string digest, http::Body& body) {
  constexpr std::size_t kChunk = 256 * 1024;
  CO_TRY(const std::string valid, image::parse_digest(digest));
  CO_TRY(const auto upload, co_await blobs_.begin(valid));
  std::string chunk;
  for (;;) {
    chunk.resize(kChunk);
    CO_TRY(const std::size_t n, co_await body.read(std::span(chunk.data(), chunk.size())));
    if (n == 0) break;
    chunk.resize(n);
    CO_TRY_VOID(co_await upload->write(std::move(chunk)));
  }
  co_return co_await upload->commit();
}

async::Task<Result<std::unique_ptr<http::Body>>> StoredImages::open_blob(std::string digest) {
  CO_TRY(const std::string valid, image::parse_digest(digest));
  CO_TRY(const bool there, co_await blobs_.has(valid));
  if (!there) co_return fail(Code::not_found, "blob {} is not here", valid);
  CO_TRY(std::unique_ptr<http::Body> body,
         http::FileBody::open(host_, blobs_.path_of(valid), nullptr));
  co_return body;
}

}  // namespace perigee::control
