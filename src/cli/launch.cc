// launch: writes a perigee.toml for a directory, creates the app and deploys it.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "cli/commands.h"
#include "model/json.h"

namespace perigee::cli {
namespace {

namespace fs = std::filesystem;

// "My App_2" → "my-app-2"; "app" where nothing is left.
std::string name_from(std::string_view directory) {
  constexpr std::size_t kMaxName = 40;
  std::string out;
  for (const char c : to_lower(directory)) {
    const bool letter = c >= 'a' && c <= 'z';
    const bool digit = c >= '0' && c <= '9';
    if (letter || (digit && !out.empty()))
      out.push_back(c);
    else if (!out.empty() && out.back() != '-')
      out.push_back('-');
  }
  out.resize(std::min(out.size(), kMaxName));
  while (out.ends_with('-')) out.pop_back();
  return out.empty() ? "app" : out;
}

// The first port of the last EXPOSE of a Dockerfile.
int exposed_port(const fs::path& dockerfile) {
  constexpr std::uint64_t kMaxPort = 65535;
  int port = 0;
  std::ifstream file(dockerfile);
  for (std::string line; std::getline(file, line);) {
    const auto words = split_once(trim(line), ' ');
    if (!words || !iequals(words->first, "EXPOSE")) continue;
    const std::string_view first = split(trim(words->second), ' ').front();
    const auto number = parse_uint(split(first, '/').front(), kMaxPort);
    if (number && *number > 0) port = static_cast<int>(*number);
  }
  return port;
}

Result<config::NewApp> describe(const Options& options, const fs::path& directory) {
  constexpr int kUsualPort = 8080;
  config::NewApp app;
  const std::string name = options.name.empty() ? options.app : options.name;
  TRY(app.app,
      model::parse_app_name(name.empty() ? name_from(directory.filename().string()) : name));
  if (!options.region.empty()) {
    TRY(app.primary_region, model::parse_region(options.region));
  }
  app.image = options.image;
  std::error_code error;
  if (app.image.empty() && !fs::exists(directory / "Dockerfile", error)) {
    return fail(Code::not_found, "{}: no Dockerfile here (add one, or give --image REF)",
                directory.string());
  }
  const int exposed = app.image.empty() ? exposed_port(directory / "Dockerfile") : 0;
  app.internal_port = options.internal_port > 0 ? options.internal_port
                      : exposed > 0             ? exposed
                                                : kUsualPort;
  return app;
}

Result<void> write_config(const std::string& path, const config::NewApp& app) {
  std::error_code error;
  if (fs::exists(path, error)) {
    return fail(Code::already_exists,
                "{} is there already: use `perigee deploy`, or remove it first", path);
  }
  std::ofstream file(path);
  file << config::render_app_config(app);
  if (!file.flush()) return fail(errno_error(errno, "write " + path));
  return {};
}

}  // namespace

async::Task<Result<void>> run_launch(Session& session) {
  const Options& options = session.options();
  std::error_code error;
  const fs::path directory = fs::absolute(fs::path(options.config), error).parent_path();
  CO_TRY(const config::NewApp app, describe(options, directory));
  CO_TRY_VOID(write_config(options.config, app));
  print(fmt::format("==> Wrote {}: app {}, port {}", options.config, app.app, app.internal_port));
  if (options.no_deploy) {
    CO_TRY_VOID(co_await ensure_app(session, app.app));
    print("Deploy it with `perigee deploy`.");
    co_return Result<void>();
  }
  CO_TRY(config::AppConfig config, config::load_app_config(options.config));
  co_return co_await deploy(session, app.app, std::move(config));
}

}  // namespace perigee::cli
