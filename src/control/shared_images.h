// SharedImages: uploaded images, whichever of the fleet's controls they were uploaded to. The one
// that carries a deploy out fetches what it lacks, and keeps it; one that a worker asks passes on
// what another has. Owned by Control, on its loop.
#pragma once

#include "control/control_peers.h"
#include "control/images.h"

namespace perigee::control {

class SharedImages : public Images {
 public:
  SharedImages(Images& own, ControlPeers& peers) : own_(own), peers_(peers) {}

  // What this control has itself: what it gives others of its kind.
  Images& own() { return own_; }

  async::Task<Result<model::ImageRef>> resolve(std::string image, image::Login login) override;
  async::Task<Result<bool>> has_blob(std::string digest) override;
  async::Task<Result<std::vector<std::string>>> missing_blobs(std::string digest) override;
  async::Task<Result<void>> put_blob(std::string digest, http::Body& body) override;
  async::Task<Result<std::unique_ptr<http::Body>>> open_blob(std::string digest) override;

 private:
  async::Task<Result<std::unique_ptr<http::Body>>> find(std::string digest);

  Images& own_;
  ControlPeers& peers_;
};

}  // namespace perigee::control
