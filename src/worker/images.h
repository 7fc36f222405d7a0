// Images: what the worker asks of the image module, as an interface, so that its tests and the
// simulation need no registry and no mkfs. ImageStore is the real one. Blobs of an uploaded image
// are in the node's own blob directory where control runs beside the worker; elsewhere control is
// asked for those that are missing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "http/client.h"
#include "image/image.h"
#include "model/types.h"
#include "sys/host.h"

namespace perigee::worker {

struct PreparedImage {
  std::vector<std::string> layers;  // paths of read-only disks, lowest first
  image::Config config;
};

class Images {
 public:
  virtual ~Images() = default;
  // Fetches what is missing, with `login` at its registry, and makes its disks; quick where all is
  // there.
  virtual async::Task<Result<PreparedImage>> prepare(model::ImageRef image, image::Login login,
                                                     int max_layers) = 0;
  // A fresh writable disk at `path`, in place of one that is there.
  virtual async::Task<Result<void>> make_upper(std::string path, std::uint64_t bytes) = 0;
};

class ImageStore : public Images {
 public:
  // `state_dir` has blobs/ (shared with a control on this node) and disks/.
  ImageStore(sys::Host& host, const std::string& state_dir, sys::Address control);
  async::Task<Result<PreparedImage>> prepare(model::ImageRef image, image::Login login,
                                             int max_layers) override;
  async::Task<Result<void>> make_upper(std::string path, std::uint64_t bytes) override;

 private:
  async::Task<Result<void>> bring(std::string manifest_digest);
  async::Task<Result<void>> bring_blob(std::string digest);

  sys::Host& host_;
  sys::Address control_;
  http::Client client_;
  image::BlobStore blobs_;
  image::DiskCache disks_;
};

}  // namespace perigee::worker
