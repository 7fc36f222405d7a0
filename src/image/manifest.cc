#include "image/manifest.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "image/limits.h"
#include "json/json.h"

namespace perigee::image {
namespace {

constexpr std::array<std::string_view, 6> kLayerTypes = {
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
};

bool is_foreign(std::string_view type) {
  return type.starts_with("application/vnd.docker.image.rootfs.foreign.") ||
         type.starts_with("application/vnd.oci.image.layer.nondistributable.");
}

Result<Descriptor> parse_descriptor(const json::Value& value) {
  Descriptor out;
  TRY(out.media_type, value.optional_string("mediaType"));
  TRY(const std::string digest, value.require_string("digest"));
  TRY(out.digest, parse_digest(digest));
  TRY(const std::int64_t size, value.require_int("size"));
  if (size < 0 || static_cast<std::uint64_t>(size) > kMaxLayerBytes) {
    return fail(Code::data_loss, "{}: a size of {} bytes is not possible here", digest, size);
  }
  out.size = static_cast<std::uint64_t>(size);
  if (const json::Value* platform = value.find("platform")) {
    TRY(out.os, platform->optional_string("os"));
    TRY(out.architecture, platform->optional_string("architecture"));
  }
  return out;
}

Result<std::vector<Descriptor>> parse_descriptors(const json::Value& list, std::size_t max) {
  if (!list.is_array()) return fail(Code::data_loss, "manifest: a list was expected");
  if (list.items().size() > max) {
    return fail(Code::unsupported, "manifest: {} entries, at most {} are supported",
                list.items().size(), max);
  }
  std::vector<Descriptor> out;
  for (const json::Value& item : list.items()) {
    TRY(Descriptor descriptor, parse_descriptor(item));
    out.push_back(std::move(descriptor));
  }
  return out;
}

Result<void> check_layer(const Descriptor& layer) {
  if (std::ranges::find(kLayerTypes, layer.media_type) != kLayerTypes.end()) return {};
  if (is_foreign(layer.media_type)) {
    return fail(Code::unsupported,
                "layer {} is a foreign layer ({}): registries do not hold its content",
                layer.digest, layer.media_type);
  }
  return fail(Code::unsupported, "layer {} is of type \"{}\", not a layer of a container image",
              layer.digest, layer.media_type);
}

Result<Document> parse_manifest(const json::Value& doc) {
  ManifestDocument out;
  TRY_AS(out.config, parse_descriptor(*doc.find("config")), "manifest, config");
  const std::string& type = out.config.media_type;
  if (type != kOciConfig && type != kDockerConfig) {
    return fail(Code::unsupported, "not a container image, but an artifact of type \"{}\"", type);
  }
  if (out.config.size > kMaxConfigBytes) {
    return fail(Code::unsupported, "the configuration is larger than {} MiB",
                kMaxConfigBytes / kMiB);
  }
  TRY_AS(out.layers, parse_descriptors(*doc.find("layers"), kMaxLayers), "manifest, layers");
  if (out.layers.empty()) {
    return fail(Code::unsupported, "the image has no layers: there is nothing to run");
  }
  for (const Descriptor& layer : out.layers) TRY_VOID(check_layer(layer));
  return Document(std::move(out));
}

// Keys of {"8080/tcp": {}}.
std::vector<std::string> keys_of(const json::Value* value) {
  std::vector<std::string> keys;
  if (value == nullptr) return keys;
  for (const auto& [key, unused] : value->members()) keys.push_back(key);
  return keys;
}

Result<Config> parse_process(const json::Value& doc) {
  Config out;
  TRY(out.architecture, doc.require_string("architecture"));
  const json::Value* process = doc.find("config");
  if (process == nullptr || process->is_null()) return out;
  TRY(out.entrypoint, process->optional_strings("Entrypoint"));
  TRY(out.cmd, process->optional_strings("Cmd"));
  TRY(out.env, process->optional_strings("Env"));
  TRY(out.user, process->optional_string("User"));
  TRY(out.directory, process->optional_string("WorkingDir"));
  TRY(out.stop_signal, process->optional_string("StopSignal"));
  out.exposed_ports = keys_of(process->find("ExposedPorts"));
  return out;
}

json::Value descriptor_json(const Descriptor& descriptor) {
  return json::object({{"mediaType", descriptor.media_type},
                       {"digest", descriptor.digest},
                       {"size", descriptor.size}});
}

}  // namespace

std::string_view this_architecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#else
#error "name this architecture as OCI does"
#endif
}

Result<Document> parse_document(std::string_view text) {
  TRY_AS(const json::Value doc, json::parse(text), "manifest");
  if (!doc.is_object()) return fail(Code::data_loss, "manifest: not a JSON object");
  TRY_AS(const std::int64_t schema, doc.optional_int("schemaVersion", 2), "manifest");
  if (schema == 1 || doc.find("fsLayers") != nullptr) {
    return fail(Code::unsupported,
                "the manifest is of Docker's schema 1, which ended in 2017; push the image again "
                "with a current docker, podman or skopeo");
  }
  if (schema != 2) return fail(Code::unsupported, "manifest: schema version {}", schema);
  if (const json::Value* manifests = doc.find("manifests")) {
    TRY_AS(auto entries, parse_descriptors(*manifests, kMaxIndexEntries), "index");
    return Document(Index{std::move(entries)});
  }
  if (doc.find("config") != nullptr && doc.find("layers") != nullptr) return parse_manifest(doc);
  return fail(Code::data_loss, "manifest: neither an image (config, layers) nor an index");
}

Result<Descriptor> choose_platform(const Index& index) {
  std::vector<std::string> seen;
  for (const Descriptor& entry : index.manifests) {
    if (entry.os == "linux" && entry.architecture == this_architecture()) return entry;
    if (entry.os.empty() || entry.os == "unknown") continue;  // attestations, for one
    seen.push_back(entry.os + "/" + entry.architecture);
  }
  // An index that names no platforms, as layouts have it: the image itself will say.
  const bool silent = std::ranges::all_of(index.manifests, [](const Descriptor& entry) {
    return entry.os.empty() && entry.architecture.empty();
  });
  if (silent && index.manifests.size() == 1) return index.manifests.front();
  if (silent && index.manifests.size() > 1) {
    return fail(Code::invalid_argument, "it holds {} images; make one that holds only yours",
                index.manifests.size());
  }
  if (seen.empty()) return fail(Code::unsupported, "the index names no image");
  return fail(Code::unsupported, "no image for linux/{}; it is there for {}", this_architecture(),
              join(seen, ", "));
}

Result<ParsedConfig> parse_config(std::string_view text) {
  TRY_AS(const json::Value doc, json::parse(text), "image configuration");
  if (!doc.is_object()) return fail(Code::data_loss, "image configuration: not a JSON object");
  ParsedConfig out;
  TRY_AS(out.config, parse_process(doc), "image configuration");
  TRY_AS(const std::string os, doc.require_string("os"), "image configuration");
  if (os != "linux" || out.config.architecture != this_architecture()) {
    return fail(Code::unsupported, "the image is for {}/{}, this node runs linux/{}", os,
                out.config.architecture, this_architecture());
  }
  const json::Value* rootfs = doc.find("rootfs");
  if (rootfs == nullptr) return fail(Code::data_loss, "image configuration: no rootfs");
  TRY_AS(out.diff_ids, rootfs->optional_strings("diff_ids"), "image configuration, rootfs");
  for (const std::string& id : out.diff_ids) {
    TRY_VOID_AS(parse_digest(id), "image configuration, rootfs");
  }
  return out;
}

Result<Image> assemble(std::string digest, const ManifestDocument& document, ParsedConfig config) {
  if (document.layers.size() != config.diff_ids.size()) {
    return fail(Code::data_loss, "the manifest has {} layers, the image's configuration {}",
                document.layers.size(), config.diff_ids.size());
  }
  Image image;
  image.config = std::move(config.config);
  image.manifest.digest = std::move(digest);
  image.manifest.config_digest = document.config.digest;
  image.manifest.config_size = document.config.size;
  for (std::size_t i = 0; i < document.layers.size(); ++i) {
    const Descriptor& layer = document.layers[i];
    image.manifest.layers.push_back({.digest = layer.digest,
                                     .diff_id = config.diff_ids[i],
                                     .media_type = layer.media_type,
                                     .size = layer.size});
  }
  return image;
}

std::string write_manifest(const Descriptor& config, const std::vector<Descriptor>& layers) {
  json::Array list;
  for (const Descriptor& layer : layers) list.push_back(descriptor_json(layer));
  return json::object({{"schemaVersion", 2},
                       {"mediaType", kOciManifest},
                       {"config", descriptor_json(config)},
                       {"layers", std::move(list)}})
      .dump();
}

}  // namespace perigee::image
