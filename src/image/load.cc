// load: an image whose blobs are all in a store.
#include <filesystem>
#include <system_error>
#include <utility>

#include "image/image.h"
#include "image/limits.h"
#include "image/load.h"
#include "image/manifest.h"

namespace perigee::image {

Result<Image> load_now(std::string_view directory, const std::string& manifest_digest) {
  std::string digest = manifest_digest;
  for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
    TRY(const std::string text, read_blob(directory, digest, kMaxManifestBytes));
    TRY(const Document document, parse_document(text));
    if (const auto* index = std::get_if<Index>(&document)) {
      TRY(const Descriptor entry, choose_platform(*index));
      digest = entry.digest;
      continue;
    }
    const auto& manifest = std::get<ManifestDocument>(document);
    TRY(const std::string config_text,
        read_blob(directory, manifest.config.digest, kMaxConfigBytes));
    TRY(ParsedConfig config, parse_config(config_text));
    return assemble(digest, manifest, std::move(config));
  }
  return fail(Code::data_loss, "indexes are nested deeper than {}", kMaxIndexDepth);
}

Result<void> check_layers(std::string_view directory, const Manifest& manifest) {
  for (const Layer& layer : manifest.layers) {
    std::error_code error;
    const auto size = std::filesystem::file_size(blob_path(directory, layer.digest), error);
    if (error) return fail(Code::not_found, "layer {} is not in the store", layer.digest);
    if (size == layer.size) continue;
    return fail(Code::data_loss, "layer {}: {} bytes are stored, the manifest says {}",
                layer.digest, size, layer.size);
  }
  return {};
}

namespace {

Result<std::vector<std::string>> missing_now(std::string_view directory, std::string digest) {
  for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
    if (!has_blob(directory, digest)) return std::vector{digest};
    TRY(const std::string text, read_blob(directory, digest, kMaxManifestBytes));
    TRY(const Document document, parse_document(text));
    if (const auto* index = std::get_if<Index>(&document)) {
      TRY(const Descriptor entry, choose_platform(*index));
      digest = entry.digest;
      continue;
    }
    const auto& manifest = std::get<ManifestDocument>(document);
    std::vector<std::string> missing{manifest.config.digest};
    for (const Descriptor& layer : manifest.layers) missing.push_back(layer.digest);
    std::erase_if(missing, [&](const auto& each) { return has_blob(directory, each); });
    return missing;
  }
  return fail(Code::data_loss, "indexes are nested deeper than {}", kMaxIndexDepth);
}

}  // namespace

async::Task<Result<std::vector<std::string>>> missing_blobs(BlobStore& blobs,
                                                            std::string manifest_digest) {
  using Missing = Result<std::vector<std::string>>;
  CO_TRY_VOID(parse_digest(manifest_digest));
  co_return co_await blobs.host().pool.run(
      blobs.host().loop,
      [directory = blobs.directory(), digest = std::move(manifest_digest)]() -> Missing {
        return missing_now(directory, digest);
      });
}

async::Task<Result<Image>> load(BlobStore& blobs, std::string manifest_digest) {
  CO_TRY_VOID(parse_digest(manifest_digest));
  co_return co_await blobs.host().pool.run(
      blobs.host().loop,
      [directory = blobs.directory(), digest = std::move(manifest_digest)]() -> Result<Image> {
        TRY_AS(Image image, load_now(directory, digest), fmt::format("image {}", digest));
        TRY_VOID_AS(check_layers(directory, image.manifest), fmt::format("image {}", digest));
        return image;
      });
}

}  // namespace perigee::image
