// Which disks an image becomes: pure. Private to the image module.
//
// The lowest disk is made of the lowest layers, joined; every layer above has a disk of its own,
// which other images that share the layer share too.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "image/image.h"

namespace perigee::image {

// The SHA-256 of nothing but a tar's end: layers that change no file. They get no disk.
inline constexpr std::string_view kEmptyLayer =
    "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

struct DiskPlan {
  std::vector<Layer> layers;  // that matter, lowest first
  std::size_t in_bottom = 0;  // how many of them the lowest disk holds, at least 1
};

// At most `max_disks` disks (at least 1), and the lowest `at_least_in_bottom` layers in one.
DiskPlan plan_disks(const Manifest& manifest, int max_disks, std::size_t at_least_in_bottom);

// OCI's ChainID of the lowest `count` layers, as hex digits.
std::string chain_hex(const std::vector<Layer>& layers, std::size_t count);
std::string bottom_name(const DiskPlan& plan);      // the lowest disk's file
std::string layer_name(const Layer& layer);         // a single layer's
std::string leaning_mark_name(const Layer& layer);  // says that it has no disk of its own

}  // namespace perigee::image
