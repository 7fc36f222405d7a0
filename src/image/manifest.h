// Manifests, indexes and configurations as JSON texts: Docker image manifest v2 schema 2 and OCI
// image specification 1.1. Pure functions over untrusted text. Private to the image module.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "image/image.h"

namespace perigee::image {

inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kDockerManifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerIndex =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";

struct Descriptor {
  std::string media_type;
  std::string digest;
  std::uint64_t size = 0;
  std::string os;            // of an index's entry; may be empty
  std::string architecture;  // likewise
  bool operator==(const Descriptor&) const = default;
};

struct Index {
  std::vector<Descriptor> manifests;
};
struct ManifestDocument {
  Descriptor config;
  std::vector<Descriptor> layers;  // lowest first
};
using Document = std::variant<Index, ManifestDocument>;

struct ParsedConfig {
  Config config;
  std::vector<std::string> diff_ids;
};

// The architecture that this build runs, in OCI's words ("amd64").
std::string_view this_architecture();

// Refused with the reason: schema 1, foreign and unknown layers, things that are no image.
Result<Document> parse_document(std::string_view text);
// The entry of an index for linux and this architecture; the error lists what there is.
Result<Descriptor> choose_platform(const Index& index);
Result<ParsedConfig> parse_config(std::string_view text);
// Joins what the two say of the layers.
Result<Image> assemble(std::string digest, const ManifestDocument& document, ParsedConfig config);
// An OCI manifest of ours for an image that came without one.
std::string write_manifest(const Descriptor& config, const std::vector<Descriptor>& layers);

}  // namespace perigee::image
