// For tests: small images in the forms that archives have.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "crypto/hash.h"
#include "image/manifest.h"
#include "image/tar_builder.h"

namespace perigee::image {

struct TestImage {
  std::vector<std::string> layers;  // plain tars
  std::vector<std::string> diff_ids;
  std::string config;
  std::string config_digest;
  std::string manifest;
  std::string manifest_digest;
};

inline std::string digest_of(std::string_view data) {
  return "sha256:" + crypto::sha256_hex(data);
}

inline TestImage make_image(std::vector<std::string> layers) {
  TestImage image;
  std::string ids;
  std::vector<Descriptor> descriptors;
  for (const std::string& layer : layers) {
    image.diff_ids.push_back(digest_of(layer));
    ids += (ids.empty() ? "\"" : ",\"") + image.diff_ids.back() + "\"";
    descriptors.push_back({.media_type = std::string(kOciLayer),
                           .digest = image.diff_ids.back(),
                           .size = layer.size(),
                           .os = {},
                           .architecture = {}});
  }
  image.config =
      fmt::format(R"({{"os":"linux","architecture":"{}","config":{{"Cmd":["/run","me"]}},)"
                  R"("rootfs":{{"type":"layers","diff_ids":[{}]}}}})",
                  this_architecture(), ids);
  image.config_digest = digest_of(image.config);
  image.manifest = write_manifest({.media_type = std::string(kOciConfig),
                                   .digest = image.config_digest,
                                   .size = image.config.size(),
                                   .os = {},
                                   .architecture = {}},
                                  descriptors);
  image.manifest_digest = digest_of(image.manifest);
  image.layers = std::move(layers);
  return image;
}

inline std::string blob_name(std::string_view digest) {
  return "blobs/sha256/" + std::string(digest.substr(7));
}

// Docker before 25: a folder per layer, the second layer a link as when two are equal.
inline std::string docker_save_old(const TestImage& image) {
  TarBuilder tar;
  std::string names;
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    const std::string folder = fmt::format("layer{}/", i);
    tar.dir(folder).file(folder + "VERSION", "1.0").file(folder + "json", "{}");
    tar.file("store/" + std::to_string(i) + ".tar", image.layers[i]);
    const std::string target = fmt::format("../store/{}.tar", i);
    tar.add({.name = folder + "layer.tar", .type = '2', .link = target});
    names += fmt::format("{}\"{}layer.tar\"", names.empty() ? "" : ",", folder);
  }
  return tar.file("config.json", image.config)
      .file("repositories", "{}")
      .file("unused", "goes away")
      .file("manifest.json",
            fmt::format(R"([{{"Config":"config.json","RepoTags":["a:b"],"Layers":[{}]}}])", names))
      .end();
}

inline std::string docker_save_new(const TestImage& image) {
  TarBuilder tar;
  std::string names;
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    tar.file(blob_name(image.diff_ids[i]), image.layers[i]);
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ",", blob_name(image.diff_ids[i]));
  }
  return tar.file(blob_name(image.config_digest), image.config)
      .file("manifest.json", fmt::format(R"([{{"Config":"{}","RepoTags":null,"Layers":[{}]}}])",
                                         blob_name(image.config_digest), names))
      .end();
}

inline std::string oci_archive(const TestImage& image) {
  TarBuilder tar;
  tar.dir("blobs/").dir("blobs/sha256/");
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    tar.file(blob_name(image.diff_ids[i]), image.layers[i]);
  }
  return tar.file(blob_name(image.config_digest), image.config)
      .file(blob_name(image.manifest_digest), image.manifest)
      .file("oci-layout", R"({"imageLayoutVersion":"1.0.0"})")
      .file("index.json",
            fmt::format(R"({{"schemaVersion":2,"manifests":[{{"mediaType":"{}","digest":"{}",)"
                        R"("size":{}}}]}})",
                        kOciManifest, image.manifest_digest, image.manifest.size()))
      .end();
}

}  // namespace perigee::image
