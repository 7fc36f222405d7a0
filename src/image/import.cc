// import_archive: archives and layouts on disk into a blob store. An archive is read once, front to
// back: every file in it becomes a blob, then its index says which of them are the image.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/text.h"
#include "image/blob_writer.h"
#include "image/image.h"
#include "image/limits.h"
#include "image/load.h"
#include "image/manifest.h"
#include "image/source.h"
#include "image/tar.h"
#include "image/tree.h"
#include "json/json.h"

namespace perigee::image {
namespace {

struct Member {
  Blob blob;
  Compression compression = Compression::none;
  std::string link;  // of a symbolic or hard link: the name it stands for
};

struct Archive {
  std::map<std::string, Member> members;  // by normal path
  std::string docker_manifest;            // manifest.json
  std::string oci_index;                  // index.json
};

Result<std::string> normal_path(std::string_view path) {
  TRY(const auto parts, split_path(path));
  return join(std::vector<std::string>(parts.begin(), parts.end()), "/");
}

// The digest that a file's name promises: "blobs/sha256/<hex>".
std::string promised_digest(std::string_view path) {
  constexpr std::string_view kBlobs = "blobs/sha256/";
  if (!path.starts_with(kBlobs)) return {};
  auto digest = parse_digest("sha256:" + std::string(path.substr(kBlobs.size())));
  return digest ? *digest : std::string();
}

bool is_of_no_use(std::string_view path) {
  return path == "oci-layout" || path == "repositories" || path.ends_with("/VERSION") ||
         path.ends_with("/json");
}

Result<std::string> read_small(TarReader& tar) {
  std::string text;
  for (;;) {
    TRY(const auto piece, tar.piece());
    if (!piece) return text;
    if (text.size() + piece->data.size() > kMaxManifestBytes) {
      return fail(Code::unsupported, "larger than {} MiB", kMaxManifestBytes / kMiB);
    }
    text += piece->data;
  }
}

Result<Member> store_member(TarReader& tar, std::string_view path, const std::string& directory) {
  TRY(const auto writer, BlobWriter::create(directory, promised_digest(path)));
  std::string first;
  for (;;) {
    TRY(const auto piece, tar.piece());
    if (!piece) break;
    if (first.size() < 4) first += piece->data.substr(0, 4);
    TRY_VOID(writer->write(piece->data));
  }
  TRY(Blob blob, writer->commit());
  return Member{.blob = std::move(blob), .compression = detect_compression(first), .link = {}};
}

// A link's target relative to where the link is.
Result<std::string> link_target(const std::string& path, const TarEntry& entry) {
  if (entry.kind == TarKind::hard_link) return normal_path(entry.link);
  const auto slash = path.rfind('/');
  const std::string folder = slash == path.npos ? "" : path.substr(0, slash + 1);
  return normal_path(folder + entry.link);
}

Result<void> read_member(TarReader& tar, const TarEntry& entry, const std::string& directory,
                         Archive& archive) {
  TRY(const std::string path, normal_path(entry.path));
  if (archive.members.size() >= kMaxArchiveEntries) {
    return fail(Code::unsupported, "more than {} files", kMaxArchiveEntries);
  }
  if (entry.kind == TarKind::hard_link || entry.kind == TarKind::symlink) {
    TRY(archive.members[path].link, link_target(path, entry));
  } else if (entry.kind == TarKind::file && path == "manifest.json") {
    TRY(archive.docker_manifest, read_small(tar));
  } else if (entry.kind == TarKind::file && path == "index.json") {
    TRY(archive.oci_index, read_small(tar));
  } else if (entry.kind == TarKind::file && !is_of_no_use(path)) {
    TRY(archive.members[path], store_member(tar, path, directory));
  }
  return {};
}

Result<Archive> read_archive(int fd, const std::string& directory, const CancelFlag& cancel) {
  FileSource file(fd, "the archive");
  TRY(const auto plain, decompressed(file));
  TarReader tar(*plain);
  Archive archive;
  for (;;) {
    TRY_VOID(check_cancelled(cancel));
    TRY(const auto entry, tar.next());
    if (!entry) return archive;
    TRY_VOID_AS(read_member(tar, *entry, directory, archive), entry->path);
  }
}

Result<Member> find_member(const Archive& archive, std::string_view name) {
  TRY(std::string path, normal_path(name));
  for (int hops = 0; hops < kMaxSymlinkHops; ++hops) {
    const auto it = archive.members.find(path);
    if (it == archive.members.end()) break;
    if (it->second.link.empty()) return it->second;
    path = it->second.link;
  }
  return fail(Code::data_loss, "its manifest names \"{}\", which is not in it", name);
}

std::string layer_type(Compression compression) {
  const std::string tar(kOciLayer);
  if (compression == Compression::gzip) return tar + "+gzip";
  return compression == Compression::zstd ? tar + "+zstd" : tar;
}

// `docker save`: [{"Config": "x.json", "RepoTags": […], "Layers": ["y/layer.tar", …]}]
Result<std::string> import_docker(const Archive& archive, const std::string& directory) {
  TRY_AS(const json::Value doc, json::parse(archive.docker_manifest), "manifest.json");
  if (doc.items().size() != 1) {
    return fail(Code::invalid_argument, "it holds {} images; save the one you want",
                doc.items().size());
  }
  const json::Value& entry = doc.items().front();
  TRY_AS(const std::string config_name, entry.require_string("Config"), "manifest.json");
  TRY_AS(const auto layer_names, entry.optional_strings("Layers"), "manifest.json");
  TRY(const Member config, find_member(archive, config_name));
  std::vector<Descriptor> layers;
  for (const std::string& name : layer_names) {
    TRY(const Member layer, find_member(archive, name));
    layers.push_back({.media_type = layer_type(layer.compression),
                      .digest = layer.blob.digest,
                      .size = layer.blob.size,
                      .os = {},
                      .architecture = {}});
  }
  const Descriptor config_descriptor{.media_type = std::string(kOciConfig),
                                     .digest = config.blob.digest,
                                     .size = config.blob.size,
                                     .os = {},
                                     .architecture = {}};
  TRY(const Blob manifest, write_blob(directory, write_manifest(config_descriptor, layers)));
  return manifest.digest;
}

Result<std::string> choose_from_index(std::string_view text) {
  TRY_AS(const Document document, parse_document(text), "index.json");
  const auto* index = std::get_if<Index>(&document);
  if (index == nullptr) return fail(Code::data_loss, "index.json: not an index");
  TRY(const Descriptor entry, choose_platform(*index));
  return entry.digest;
}

void remove_unused(const Archive& archive, const Image& image, const std::string& directory) {
  std::set<std::string> used{image.manifest.digest, image.manifest.config_digest};
  for (const Layer& layer : image.manifest.layers) used.insert(layer.digest);
  for (const auto& [path, member] : archive.members) {
    if (!member.blob.is_new || used.contains(member.blob.digest)) continue;
    ::unlink(blob_path(directory, member.blob.digest).c_str());
  }
}

Result<Image> import_file(const std::string& path, const std::string& directory,
                          const CancelFlag& cancel) {
  TRY(const sys::Fd fd, open_for_reading(path));
  TRY(const Archive archive, read_archive(fd.get(), directory, cancel));
  if (archive.docker_manifest.empty() && archive.oci_index.empty()) {
    return fail(Code::invalid_argument,
                "neither manifest.json nor index.json is in it; expected what `docker save` or "
                "`podman save` write, or an OCI archive");
  }
  const bool docker = !archive.docker_manifest.empty();
  TRY(const std::string digest,
      docker ? import_docker(archive, directory) : choose_from_index(archive.oci_index));
  TRY(Image image, load_now(directory, digest));
  TRY_VOID(check_layers(directory, image.manifest));
  remove_unused(archive, image, directory);
  return image;
}

// ---- layout directories ----

Result<void> copy_blob(const std::string& layout, const std::string& digest,
                       const std::string& directory, const CancelFlag& cancel) {
  if (has_blob(directory, digest)) return {};
  TRY(const sys::Fd fd, open_for_reading(blob_path(layout + "/blobs", digest)));
  FileSource file(fd.get(), digest);
  TRY(const auto writer, BlobWriter::create(directory, digest));
  for (;;) {
    TRY_VOID(check_cancelled(cancel));
    TRY(const std::string_view chunk, file.next());
    if (chunk.empty()) break;
    TRY_VOID(writer->write(chunk));
  }
  TRY_VOID(writer->commit());
  return {};
}

Result<std::string> read_small_file(const std::string& path) {
  TRY(const sys::Fd fd, open_for_reading(path));
  FileSource file(fd.get(), path);
  std::string text;
  for (;;) {
    TRY(const std::string_view chunk, file.next());
    if (chunk.empty()) return text;
    if (text.size() + chunk.size() > kMaxManifestBytes) {
      return fail(Code::unsupported, "{}: larger than {} MiB", path, kMaxManifestBytes / kMiB);
    }
    text += chunk;
  }
}

Result<Image> import_layout(const std::string& layout, const std::string& directory,
                            const CancelFlag& cancel) {
  TRY_AS(const std::string index_text, read_small_file(layout + "/index.json"),
         "not an OCI layout");
  TRY(std::string digest, choose_from_index(index_text));
  for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
    TRY_VOID(copy_blob(layout, digest, directory, cancel));
    TRY(const std::string text, read_blob(directory, digest, kMaxManifestBytes));
    TRY(const Document document, parse_document(text));
    if (const auto* index = std::get_if<Index>(&document)) {
      TRY(const Descriptor entry, choose_platform(*index));
      digest = entry.digest;
      continue;
    }
    const auto& manifest = std::get<ManifestDocument>(document);
    TRY_VOID(copy_blob(layout, manifest.config.digest, directory, cancel));
    for (const Descriptor& layer : manifest.layers) {
      TRY_VOID(copy_blob(layout, layer.digest, directory, cancel));
    }
    TRY(Image image, load_now(directory, digest));
    TRY_VOID(check_layers(directory, image.manifest));
    return image;
  }
  return fail(Code::data_loss, "indexes are nested deeper than {}", kMaxIndexDepth);
}

Result<Image> import_now(const std::string& path, const std::string& directory,
                         const CancelFlag& cancel) {
  struct stat info{};
  if (::stat(path.c_str(), &info) < 0) return fail(errno_error(errno, path));
  auto image = S_ISDIR(info.st_mode) ? import_layout(path, directory, cancel)
                                     : import_file(path, directory, cancel);
  if (!image) return fail(std::move(image).error().with(path));
  return image;
}

}  // namespace

async::Task<Result<Image>> import_archive(sys::Host& host, BlobStore& blobs, std::string path) {
  const CancelOnExit cancel;
  co_return co_await host.pool.run(
      host.loop, [path = std::move(path), directory = blobs.directory(), flag = cancel.flag()] {
        return import_now(path, directory, flag);
      });
}

}  // namespace perigee::image
