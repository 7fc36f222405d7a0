// What an OCI or Docker v2 image is to us: its configuration, its layers, and how its bytes become
// read-only disks. See README.md for the path source → blobs → disks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "model/types.h"
#include "sys/fd.h"
#include "sys/host.h"

namespace perigee::image {

// "127.0.0.1:5000/app:tag", "app@sha256:…", "library/nginx" (docker.io by default, tag latest).
struct Reference {
  std::string registry;
  std::string repository;
  std::string tag;
  std::string digest;
  std::string str() const;
  bool operator==(const Reference&) const = default;
};
Result<Reference> parse_reference(std::string_view text);

struct Layer {
  std::string digest;   // of the blob as stored (compressed or not)
  std::string diff_id;  // of the uncompressed tar
  std::string media_type;
  std::uint64_t size = 0;
  bool operator==(const Layer&) const = default;
};

struct Config {
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> env;
  std::string user;
  std::string directory;
  std::string stop_signal;
  std::string architecture;
  std::vector<std::string> exposed_ports;  // "8080/tcp"
  bool operator==(const Config&) const = default;
};

struct Manifest {
  std::string digest;
  std::string config_digest;
  std::uint64_t config_size = 0;
  std::vector<Layer> layers;  // lowest first
  bool operator==(const Manifest&) const = default;
};

struct Image {
  Manifest manifest;
  Config config;
};

struct Progress {
  std::string digest;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};
using OnProgress = std::function<void(const Progress&)>;  // on the loop's thread

// Blobs by digest in a directory; a blob is visible only when whole, verified and synced.
class BlobStore {
 public:
  BlobStore(sys::Host& host, std::string directory);
  async::Task<Result<bool>> has(std::string digest);
  std::string path_of(std::string_view digest) const;  // digest must be valid (see parse_digest)
  async::Task<Result<std::string>> read(std::string digest, std::size_t max);
  // Streaming write that is verified at commit and removed if not committed.
  class Upload;
  async::Task<Result<std::unique_ptr<Upload>>> begin(std::string digest);
  const std::string& directory() const { return directory_; }
  sys::Host& host() const { return host_; }

 private:
  sys::Host& host_;
  std::string directory_;
};

class BlobStore::Upload {
 public:
  virtual ~Upload() = default;
  virtual async::Task<Result<void>> write(std::string data) = 0;
  virtual async::Task<Result<void>> commit() = 0;  // data_loss where the digest differs
};

Result<std::string> parse_digest(std::string_view text);  // "sha256:<64 hex>" or an error

// What a registry is shown. Empty: what docker's configuration of this process's user has for it.
struct Login {
  std::string username;
  std::string password;
  bool empty() const { return username.empty(); }
  bool operator==(const Login&) const = default;
};

// Resolves a registry reference to its linux/<this architecture> manifest digest, and stores
// manifest and config in `blobs`. Errors of this and of `fetch` name registry and layer; which
// image it is, the caller knows in the user's own words.
async::Task<Result<model::ImageRef>> resolve(sys::Host& host, BlobStore& blobs, Reference reference,
                                             Login login);
// Makes every blob of `image` present in `blobs` (from its registry where it has one).
async::Task<Result<Image>> fetch(sys::Host& host, BlobStore& blobs, model::ImageRef image,
                                 Login login, OnProgress progress);
// Manifest and config of an image whose blobs are all in `blobs`.
async::Task<Result<Image>> load(BlobStore& blobs, std::string manifest_digest);

// Blobs of an image that `blobs` lacks, as far as what is there tells: the manifest alone, until it
// has come. Empty: nothing is missing.
async::Task<Result<std::vector<std::string>>> missing_blobs(BlobStore& blobs,
                                                            std::string manifest_digest);

// A `docker save` or OCI archive (plain tar or gzip), or an OCI layout directory: puts manifest,
// config and layers into `blobs` (a scratch one for the CLI, which uploads them); returns the
// manifest's digest.
async::Task<Result<Image>> import_archive(sys::Host& host, BlobStore& blobs, std::string path);

// Builds a Dockerfile with buildah, podman or docker, whichever is there, into an OCI archive at
// `out_path`.
struct Build {
  std::string context_directory;
  std::string dockerfile;  // relative to the context; empty: Dockerfile
  std::vector<std::pair<std::string, std::string>> args;
  std::string target;
  // Relative to the context; empty: .containerignore or .dockerignore.
  std::string ignore_file = {};
};
using OnLine = std::function<void(std::string_view)>;
async::Task<Result<void>> build_dockerfile(sys::Host& host, Build build, std::string out_path,
                                           OnLine line);

// Disks from layers: one EROFS image per layer (or per merged chain of the lowest), cached by
// digest.
class DiskCache {
 public:
  DiskCache(sys::Host& host, std::string directory);
  // Paths of at most `max_disks` read-only EROFS images, lowest first. Concurrent calls for one
  // layer do the work once.
  async::Task<Result<std::vector<std::string>>> disks_for(BlobStore& blobs, Manifest manifest,
                                                          int max_disks);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// A fresh writable ext4 image (sparse) at `path`.
async::Task<Result<void>> make_upper_disk(sys::Host& host, std::string path, std::uint64_t bytes);
// The same in blocks of 4096 bytes, and in memory: a hole is what nobody wrote and nobody will
// read.
async::Task<Result<sys::Fd>> make_ext4_in_memory(sys::Host& host, std::uint64_t bytes);

}  // namespace perigee::image
