// Applies one layer's tar to a Tree, its file data to a sink, with Docker's rules (OCI image
// specification, "Image Layer Filesystem Changeset").
//
// bottom   what lies below is in the tree: a whiteout removes it.
// overlay  the tree holds this layer alone, what lies below is on other disks under an overlayfs:
//          ".wh.NAME" becomes its whiteout (a 0:0 character device) and ".wh..wh..opq" its opaque
//          directory. A layer that can't be read so, because it names a directory or the target of
//          a hard link that only a lower layer has, is answered with `needs_lower`: it has to be
//          applied on top of those, as bottom.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "image/source.h"
#include "image/tree.h"

namespace perigee::image {

// Where file data goes; one file at a time.
class DataSink {
 public:
  virtual ~DataSink() = default;
  virtual Result<std::uint32_t> begin_file(std::uint64_t size) = 0;             // its first block
  virtual Result<void> write(std::uint64_t offset, std::string_view data) = 0;  // ascending
  virtual Result<void> end_file() = 0;
};

enum class LayerRole { bottom, overlay };
enum class Applied { whole, needs_lower };

// `number` rises from layer to layer of one tree. Errors name the path.
Result<Applied> apply_layer(ByteSource& tar, LayerRole role, unsigned number, Tree& tree,
                            DataSink& data);

}  // namespace perigee::image
