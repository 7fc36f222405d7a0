#include "image/convert.h"

#include <algorithm>

#include "image/erofs_writer.h"
#include "image/limits.h"
#include "image/tree.h"

namespace perigee::image {
namespace {

std::uint64_t max_unpacked(const LayerBlob& layer) {
  const std::uint64_t allowed = std::min(layer.size, kMaxLayerBytes) * kMaxExpansion;
  return std::min(kMaxLayerBytes, std::max(kFreeLayerBytes, allowed));
}

Result<Applied> convert_layer(const LayerBlob& layer, LayerRole role, unsigned number, Tree& tree,
                              ErofsWriter& writer, const CancelFlag& cancel) {
  FileSource file(layer.fd, "layer " + layer.digest);
  TRY(const auto plain, decompressed(file));
  HashedSource hashed(*plain, max_unpacked(layer), cancel);
  TRY(const Applied applied, apply_layer(hashed, role, number, tree, writer));
  if (applied == Applied::needs_lower) return applied;
  const std::string digest = hashed.digest();
  if (digest == layer.diff_id) return applied;
  return fail(Code::data_loss, "it unpacks to {}, but the image's configuration says {}", digest,
              layer.diff_id);
}

// Each disk has an identity of its own: overlayfs tells layers apart by it.
Uuid uuid_of(const std::vector<LayerBlob>& layers) {
  std::string ids;
  for (const LayerBlob& layer : layers) ids += layer.diff_id + "\n";
  const std::string hex = crypto::sha256_hex(ids);
  Uuid uuid{};
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    uuid[i] = static_cast<std::uint8_t>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  }
  uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0f) | 0x80);  // RFC 9562: version 8
  uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3f) | 0x80);
  return uuid;
}

}  // namespace

Result<Applied> convert_layers(const std::vector<LayerBlob>& layers, LayerRole role, int out,
                               const CancelFlag& cancel) {
  Tree tree;
  ErofsWriter writer(out);
  unsigned number = 0;
  for (const LayerBlob& layer : layers) {
    TRY_AS(const Applied applied, convert_layer(layer, role, number++, tree, writer, cancel),
           fmt::format("layer {}", layer.digest));
    if (applied == Applied::needs_lower) return applied;
  }
  TRY_VOID(writer.finish(tree, uuid_of(layers)));
  return Applied::whole;
}

}  // namespace perigee::image
