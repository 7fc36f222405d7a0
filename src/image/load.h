// The blocking half of load(). Private to the image module.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "image/blob_writer.h"
#include "image/image.h"

namespace perigee::image {

// Manifest (through indexes) and configuration, from the store's directory.
Result<Image> load_now(std::string_view directory, const std::string& manifest_digest);
// That every layer is there in its size.
Result<void> check_layers(std::string_view directory, const Manifest& manifest);

}  // namespace perigee::image
