// Layers to one EROFS disk: inflate, hash, read the tar, write the image, in one streaming pass.
// Blocking, and on nothing but open descriptors: runs on a pool thread, and can run in a process
// that may do nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/layer.h"
#include "image/source.h"

namespace perigee::image {

struct LayerBlob {
  int fd = -1;  // at its start; the caller's
  std::uint64_t size = 0;
  std::string digest;   // for errors
  std::string diff_id;  // what the uncompressed bytes must hash to
};

// Writes `layers`, lowest first, joined to one tree, into the empty file `out`. On an error, and
// with needs_lower, what is in `out` is worthless.
Result<Applied> convert_layers(const std::vector<LayerBlob>& layers, LayerRole role, int out,
                               const CancelFlag& cancel);

}  // namespace perigee::image
