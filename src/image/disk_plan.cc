#include "image/disk_plan.h"

#include <algorithm>

#include "crypto/hash.h"

namespace perigee::image {
namespace {

constexpr std::size_t kAlgorithm = std::string_view("sha256:").size();

}  // namespace

DiskPlan plan_disks(const Manifest& manifest, int max_disks, std::size_t at_least_in_bottom) {
  DiskPlan plan;
  for (const Layer& layer : manifest.layers) {
    if (layer.diff_id != kEmptyLayer) plan.layers.push_back(layer);
  }
  if (plan.layers.empty()) plan.layers.push_back(manifest.layers.front());
  const std::size_t count = plan.layers.size();
  const auto max = static_cast<std::size_t>(std::max(max_disks, 1));
  const std::size_t above = std::min(max, count) - 1;
  plan.in_bottom = std::min(count, std::max(count - above, at_least_in_bottom));
  return plan;
}

std::string chain_hex(const std::vector<Layer>& layers, std::size_t count) {
  std::string chain = layers.front().diff_id;
  for (std::size_t i = 1; i < count; ++i) {
    chain = "sha256:" + crypto::sha256_hex(chain + " " + layers[i].diff_id);
  }
  return chain.substr(kAlgorithm);
}

std::string bottom_name(const DiskPlan& plan) {
  return "chain-" + chain_hex(plan.layers, plan.in_bottom) + ".erofs";
}

std::string layer_name(const Layer& layer) {
  return "layer-" + layer.diff_id.substr(kAlgorithm) + ".erofs";
}

std::string leaning_mark_name(const Layer& layer) {
  return "layer-" + layer.diff_id.substr(kAlgorithm) + ".leans";
}

}  // namespace perigee::image
