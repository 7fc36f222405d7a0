// Images: what control needs of images, as an interface, so that tests need no registry.
// StoredImages is the real one, over the node's blob directory.
#pragma once

#include <string>
#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "http/message.h"
#include "image/image.h"
#include "model/types.h"
#include "sys/host.h"

namespace perigee::control {

class Images {
 public:
  virtual ~Images() = default;
  // "nginx:1", "127.0.0.1:5000/app@sha256:…", or the digest of an uploaded manifest.
  // `login`: of its registry, empty where there is none (resolve_image in registry_logins.h).
  virtual async::Task<Result<model::ImageRef>> resolve(std::string image, image::Login login) = 0;
  virtual async::Task<Result<bool>> has_blob(std::string digest) = 0;
  // What of an uploaded image is not here, as far as what is here tells.
  virtual async::Task<Result<std::vector<std::string>>> missing_blobs(std::string digest) = 0;
  // Stores a body under its digest; data_loss where it is another's.
  virtual async::Task<Result<void>> put_blob(std::string digest, http::Body& body) = 0;
  // Its bytes, unverified: whoever takes them knows the digest. not_found where it is not here.
  virtual async::Task<Result<std::unique_ptr<http::Body>>> open_blob(std::string digest) = 0;
};

class StoredImages : public Images {
 public:
  StoredImages(sys::Host& host, std::string directory)
      : host_(host), blobs_(host, std::move(directory)) {}
  async::Task<Result<model::ImageRef>> resolve(std::string image, image::Login login) override;
  async::Task<Result<bool>> has_blob(std::string digest) override;
  async::Task<Result<std::vector<std::string>>> missing_blobs(std::string digest) override;
  async::Task<Result<void>> put_blob(std::string digest, http::Body& body) override;
  async::Task<Result<std::unique_ptr<http::Body>>> open_blob(std::string digest) override;

 private:
  sys::Host& host_;
  image::BlobStore blobs_;
};

}  // namespace perigee::control
