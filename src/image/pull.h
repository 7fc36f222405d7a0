// The blocking steps of resolve() and fetch(). Private to the image module.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "image/image.h"
#include "image/registry.h"
#include "image/source.h"

namespace perigee::image {

// Manifest (through indexes) and configuration into the store at `directory`; the digest of the
// manifest for this platform. An image for another one is refused here.
Result<std::string> pull_documents(Registry& registry, const std::string& directory,
                                   const std::string& tag_or_digest);

using OnBytes = std::function<void(std::uint64_t done)>;  // on the thread that pulls
Result<void> pull_layer(Registry& registry, const std::string& directory, const Layer& layer,
                        const OnBytes& on_bytes);

}  // namespace perigee::image
