// deploy and launch: from a directory or an image to running machines. The deploy itself runs on
// the server; this side brings the image's bytes there and shows what happens.
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/reconnect.h"
#include "image/image.h"
#include "model/egress.h"

namespace perigee::cli {
namespace {

namespace fs = std::filesystem;

// A directory that goes away with its owner: built archives and their blobs are large.
class Scratch {
 public:
  static Result<Scratch> open() {
    const char* base = std::getenv("TMPDIR");
    std::string pattern = fmt::format("{}/perigee-XXXXXX", base == nullptr ? "/var/tmp" : base);
    if (::mkdtemp(pattern.data()) == nullptr) return fail(errno_error(errno, "make " + pattern));
    return Scratch(std::move(pattern));
  }
  Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Where an image comes from.
struct Source {
  enum class Kind { reference, archive, dockerfile } kind = Kind::dockerfile;
  std::string text;  // the reference or the archive's path
};

// A path if it says so or is there; otherwise a registry reference.
Source classify(std::string text) {
  for (const std::string_view prefix : {"docker-archive:", "oci-archive:", "oci:"}) {
    if (text.starts_with(prefix)) return {Source::Kind::archive, text.substr(prefix.size())};
  }
  const bool path_like = text.starts_with('/') || text.starts_with("./") ||
                         text.starts_with("../") || text.ends_with(".tar") ||
                         text.ends_with(".tar.gz");
  std::error_code error;
  if (path_like || fs::exists(text, error)) return {Source::Kind::archive, std::move(text)};
  return {Source::Kind::reference, std::move(text)};
}

Source source_of(const Options& options, const config::AppConfig& config) {
  if (!options.image.empty()) return classify(options.image);
  if (!config.build.image.empty()) return classify(config.build.image);
  return {};
}

// The directory that relative paths of the configuration start from.
std::string base_directory(const Options& options) {
  const fs::path parent = fs::path(options.config).parent_path();
  return parent.empty() ? "." : parent.string();
}

Result<image::Build> build_of(const Options& options, const config::AppConfig& config) {
  image::Build build;
  build.context_directory = base_directory(options);
  build.dockerfile = options.dockerfile.empty() ? config.build.dockerfile : options.dockerfile;
  build.target = options.target.empty() ? config.build.target : options.target;
  build.ignore_file = config.build.ignore_file;
  build.args = config.build.args;
  for (const std::string& arg : options.build_args) {
    const auto pair = split_once(arg, '=');
    if (!pair) return fail(Code::invalid_argument, "--build-arg {}: expected NAME=VALUE", arg);
    build.args.emplace_back(pair->first, pair->second);
  }
  const std::string file = build.dockerfile.empty() ? "Dockerfile" : build.dockerfile;
  std::error_code error;
  if (!fs::exists(fs::path(build.context_directory) / file, error)) {
    return fail(Code::not_found,
                "{}: no such file in {} (add a Dockerfile, or give --image REF or --image ARCHIVE)",
                file, build.context_directory);
  }
  return build;
}

async::Task<Result<void>> build_archive(Session& session, image::Build build, std::string out) {
  Step step(session, "Building the Dockerfile");
  CO_TRY_VOID(co_await image::build_dockerfile(
      session.host(), std::move(build), std::move(out),
      [](std::string_view line) { print(fmt::format("    {}", line)); }));
  step.done();
  co_return Result<void>();
}

struct BlobToSend {
  std::string digest;
  std::uint64_t size = 0;
};

// Layers first, the manifest last: what it names is there when it arrives.
std::vector<BlobToSend> blobs_of(const image::Image& image) {
  std::vector<BlobToSend> out;
  for (const image::Layer& layer : image.manifest.layers) out.push_back({layer.digest, layer.size});
  out.push_back({image.manifest.config_digest, image.manifest.config_size});
  out.push_back({image.manifest.digest, 0});
  return out;
}

async::Task<Result<void>> upload(Session& session, client::Client& api, image::BlobStore& blobs,
                                 const image::Image& image) {
  Step step(session, "Sending the image");
  std::size_t sent = 0;
  std::uint64_t bytes = 0;
  for (const BlobToSend& blob : blobs_of(image)) {
    CO_TRY(const bool there, co_await api.has_blob(blob.digest));
    if (there) continue;
    CO_TRY_VOID_AS(co_await api.put_blob(blob.digest, blobs.path_of(blob.digest),
                                         [&](std::uint64_t done) {
                                           step.progress(fmt::format("{} of {}", human_bytes(done),
                                                                     human_bytes(blob.size)));
                                         }),
                   fmt::format("send {}", blob.digest));
    ++sent;
    bytes += blob.size;
  }
  step.done(sent == 0 ? "already there" : fmt::format("{} blobs, {}", sent, human_bytes(bytes)));
  co_return Result<void>();
}

async::Task<Result<image::Image>> import_archive(Session& session, image::BlobStore& blobs,
                                                 std::string path) {
  Step step(session, fmt::format("Reading {}", path));
  CO_TRY(image::Image image, co_await image::import_archive(session.host(), blobs, path));
  step.done(fmt::format("{} layers", image.manifest.layers.size()));
  co_return image;
}

// What the release names: the reference, or the digest of the manifest that is now on the server.
async::Task<Result<std::string>> bring_image(Session& session, client::Client& api,
                                             config::AppConfig config) {
  const Source source = source_of(session.options(), config);
  if (source.kind == Source::Kind::reference) co_return source.text;
  CO_TRY(const Scratch scratch, Scratch::open());
  std::string archive = source.text;
  if (source.kind == Source::Kind::dockerfile) {
    CO_TRY(image::Build build, build_of(session.options(), config));
    archive = scratch.path() + "/image.tar";
    CO_TRY_VOID(co_await build_archive(session, std::move(build), archive));
  }
  image::BlobStore blobs(session.host(), scratch.path() + "/blobs");
  CO_TRY(const image::Image image, co_await import_archive(session, blobs, archive));
  CO_TRY_VOID(co_await upload(session, api, blobs, image));
  co_return image.manifest.digest;
}

void print_result(Session& session, const client::AppInfo& info,
                  const client::ReleaseInfo& release) {
  if (session.options().json) {
    print_json(json::object({{"app", info.document}, {"release", release.document}}));
  } else {
    print(fmt::format("\n{} v{} is deployed: {}", info.name, release.version, info.hostname));
  }
}

// How far a deploy has been watched.
struct ReleaseWatch {
  std::string app;
  std::int64_t version = 0;
  std::string last_event = {};  // its id
  std::string last_error = {};
};

// Prints what happens, from where `watch` stands to the deploy's end.
async::Task<Result<void>> follow_release(client::Client& api, ReleaseWatch& watch,
                                         Reconnect& reconnect) {
  CO_TRY(const auto events,
         co_await api.release_events(watch.app, watch.version, watch.last_event));
  for (;;) {
    CO_TRY(const auto event, co_await events->next());
    if (!event) {  // where it has ended already, there are no events after the last
      CO_TRY(const client::ReleaseInfo release, co_await api.release(watch.app, watch.version));
      if (release.status == "succeeded" || release.status == "failed") co_return Result<void>();
      co_return fail(stream_ended("the deploy's events"));
    }
    reconnect.connected();
    if (!event->id.empty()) watch.last_event = event->id;
    const auto data = json::parse(event->data);
    const std::string message = data ? text_of(*data, "message") : "";
    if (event->type == "error")
      watch.last_error = message;
    else if (!message.empty())
      print(fmt::format("    {}", message));
    if (event->type == "done" || event->type == "error") co_return Result<void>();
  }
}

// What perigee.toml says, before the release is made, so that its machines never run under another.
// A policy that was set by `perigee egress set` stays where the file has none.
async::Task<Result<void>> apply_egress(Session& session, client::Client& api, AppName app,
                                       std::optional<model::EgressPolicy> egress) {
  if (!egress) co_return Result<void>();
  const json::Value wanted = model::to_json(*egress);
  CO_TRY(const json::Value known, co_await api.egress(app.str()));
  if (known == wanted) co_return Result<void>();
  Step step(session, fmt::format("Setting the egress policy: {}", text_of(wanted, "policy")));
  CO_TRY_AS([[maybe_unused]] const json::Value set, co_await api.set_egress(app.str(), wanted),
            "egress");
  step.done();
  co_return Result<void>();
}

}  // namespace

async::Task<Result<void>> watch_release(Session& session, client::Client& api, AppName app,
                                        std::int64_t version) {
  Step step(session,
            fmt::format("Deploying v{} (Ctrl-C leaves it running on the server)", version));
  ReleaseWatch watch{.app = app.str(), .version = version};
  Reconnect reconnect(session, "deploy");
  for (;;) {
    const auto ended = co_await follow_release(api, watch, reconnect);
    if (ended) break;
    CO_TRY_VOID(co_await reconnect.wait(ended.error()));
  }
  CO_TRY(const client::ReleaseInfo release, co_await api.release(app.str(), version));
  if (release.status == "failed") {
    const std::string why = release.error.empty() ? watch.last_error : release.error;
    co_return fail(Code::unavailable, "release v{} of {} failed: {}", version, app, why);
  }
  step.done(release.status);
  co_return Result<void>();
}

async::Task<Result<void>> ensure_app(Session& session, AppName app) {
  CO_TRY(client::Client* const api, session.api());
  const auto known = co_await api->app(app.str());
  if (known) co_return Result<void>();
  if (known.error().code != Code::not_found) co_return fail(known.error());
  CO_TRY_VOID(co_await api->create_app(app.str()));
  print(fmt::format("==> Created the app {}", app));
  co_return Result<void>();
}

async::Task<Result<void>> deploy(Session& session, AppName app, config::AppConfig config) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY_VOID(co_await ensure_app(session, app));
  client::NewRelease release;
  release.config = config.machine;
  release.region = options.region.empty() ? config.primary_region : RegionCode(options.region);
  release.count = options.count;
  const auto egress = config.egress;
  CO_TRY(release.image, co_await bring_image(session, *api, std::move(config)));
  CO_TRY_VOID(co_await apply_egress(session, *api, app, egress));
  CO_TRY(const client::ReleaseInfo created, co_await api->deploy(app.str(), std::move(release)));
  if (options.detach) {
    print(fmt::format("Release v{} goes on on the server; `perigee status -a {}` shows it.",
                      created.version, app));
    co_return Result<void>();
  }
  CO_TRY_VOID(co_await watch_release(session, *api, app, created.version));
  CO_TRY(const client::AppInfo info, co_await api->app(app.str()));
  CO_TRY(const client::ReleaseInfo done, co_await api->release(app.str(), created.version));
  print_result(session, info, done);
  co_return Result<void>();
}

async::Task<Result<void>> run_deploy(Session& session) {
  const Options& options = session.options();
  auto config = config::load_app_config(options.config);
  const bool standalone = !config && config.error().code == Code::not_found &&
                          !options.app.empty() && !options.image.empty();
  if (standalone) config = config::parse_app_config("[http_service]\n", "(no perigee.toml)");
  if (!config) co_return fail(config.error());
  for (const std::string& warning : config->warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  CO_TRY(const AppName app, session.app());
  co_return co_await deploy(session, app, *std::move(config));
}

}  // namespace perigee::cli
