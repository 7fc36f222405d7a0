#include "image/pull.h"

#include "image/blob_writer.h"
#include "image/limits.h"
#include "image/manifest.h"

namespace perigee::image {
namespace {

// A blob's bytes go to a writer; a transfer that ends short is told by the digest.
Result<void> pull_blob(Registry& registry, const std::string& directory, const std::string& digest,
                       std::uint64_t size, const OnBytes& on_bytes) {
  if (has_blob(directory, digest)) return {};
  TRY(const auto writer, BlobWriter::create(directory, digest));
  const WebSink sink = [&](std::string_view data) -> Result<void> {
    TRY_VOID(writer->write(data));
    if (on_bytes) on_bytes(writer->size());
    return {};
  };
  TRY_VOID(registry.blob(digest, size, sink));
  if (writer->size() != size) {
    return fail(Code::data_loss, "{} bytes came of the {} that the manifest says", writer->size(),
                size);
  }
  TRY_VOID(writer->commit());
  return {};
}

Result<void> pull_config(Registry& registry, const std::string& directory,
                         const ManifestDocument& manifest) {
  const Descriptor& config = manifest.config;
  TRY_VOID_AS(pull_blob(registry, directory, config.digest, config.size, nullptr),
              "image configuration");
  TRY(const std::string text, read_blob(directory, config.digest, kMaxConfigBytes));
  TRY_VOID(parse_config(text));
  return {};
}

}  // namespace

Result<std::string> pull_documents(Registry& registry, const std::string& directory,
                                   const std::string& tag_or_digest) {
  std::string name = tag_or_digest;
  for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
    TRY(const std::string text, registry.manifest(name));
    TRY(const Document document, parse_document(text));
    if (const auto* index = std::get_if<Index>(&document)) {
      TRY(const Descriptor entry, choose_platform(*index));
      name = entry.digest;
      continue;
    }
    TRY_VOID(pull_config(registry, directory, std::get<ManifestDocument>(document)));
    TRY(const Blob blob, write_blob(directory, text));
    return blob.digest;
  }
  return fail(Code::data_loss, "indexes are nested deeper than {}", kMaxIndexDepth);
}

Result<void> pull_layer(Registry& registry, const std::string& directory, const Layer& layer,
                        const OnBytes& on_bytes) {
  TRY_VOID_AS(pull_blob(registry, directory, layer.digest, layer.size, on_bytes),
              fmt::format("layer {}", layer.digest));
  return {};
}

}  // namespace perigee::image
