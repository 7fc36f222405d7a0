// Makes one disk of the cache, blocking: locks its name against other processes, converts, and
// names the result when it is whole. Private to the image module.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "image/convert.h"
#include "image/image.h"

namespace perigee::image {

struct DiskOrder {
  std::string directory;
  std::string name;                // of the disk
  std::string mark;                // made instead of it where the layer leans on lower ones
  std::vector<Layer> layers;       // lowest first
  std::vector<std::string> blobs;  // their paths
  LayerRole role = LayerRole::bottom;
};

Result<Applied> make_disk(const DiskOrder& order, const CancelFlag& cancel);

}  // namespace perigee::image
