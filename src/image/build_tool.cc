#include "image/build_tool.h"

#include "base/text.h"
#include "image/limits.h"

namespace perigee::image {
namespace {

// "STEP 2/7: RUN x" (buildah, podman), "Step 2/7 : RUN x" (docker), "#6 [2/7] RUN x" (BuildKit).
bool is_step(std::string_view line) {
  if (line.starts_with("STEP ") || line.starts_with("Step ")) return true;
  const auto bracket = line.find("] ");
  const auto open = line.find(" [");
  return line.starts_with('#') && open != line.npos && bracket != line.npos && open < bracket &&
         line.substr(open, bracket - open).find('/') != line.npos;
}

}  // namespace

std::string_view name_of(BuildTool tool) {
  switch (tool) {
    case BuildTool::buildah:
      return "buildah";
    case BuildTool::podman:
      return "podman";
    case BuildTool::docker:
      break;
  }
  return "docker";
}

std::vector<std::string> build_command(BuildTool tool, const Build& build,
                                       const std::string& id_file) {
  const bool docker = tool == BuildTool::docker;
  std::vector<std::string> argv{std::string(name_of(tool)),
                                tool == BuildTool::buildah ? "bud" : "build"};
  if (!docker) {
    // chroot: needs no runtime and no network set-up; layers: unchanged steps come from the cache.
    argv.insert(argv.end(), {"--isolation", "chroot", "--layers", "--format", "oci"});
  }
  const std::string file = build.dockerfile.empty() ? "Dockerfile" : build.dockerfile;
  const bool absolute = file.starts_with('/');
  argv.insert(argv.end(), {"--iidfile", id_file, "--file",
                           absolute ? file : build.context_directory + "/" + file});
  for (const auto& [name, value] : build.args) {
    argv.insert(argv.end(), {"--build-arg", name + "=" + value});
  }
  if (!build.target.empty()) argv.insert(argv.end(), {"--target", build.target});
  if (!build.ignore_file.empty() && !docker) {
    argv.insert(argv.end(), {"--ignorefile", build.context_directory + "/" + build.ignore_file});
  }
  argv.push_back(build.context_directory);
  return argv;
}

std::vector<std::string> export_command(BuildTool tool, const std::string& id,
                                        const std::string& out_path) {
  if (tool == BuildTool::docker) return {"docker", "save", "--output", out_path, id};
  // zstd at its fastest: the bytes travel to the platform, and are inflated there at once.
  std::vector<std::string> argv{std::string(name_of(tool)), "push", "--quiet"};
  argv.insert(argv.end(), {"--compression-format", "zstd"});
  if (tool == BuildTool::buildah) argv.insert(argv.end(), {"--compression-level", "1"});
  argv.insert(argv.end(), {id, "oci-archive:" + out_path});
  return argv;
}

void BuildLog::remember(const std::string& line) {
  if (is_step(line)) step_ = line;
  tail_.push_back(line);
  if (tail_.size() > kBuildTailLines) tail_.pop_front();
}

std::vector<std::string> BuildLog::feed(std::string_view data) {
  std::vector<std::string> lines;
  while (!data.empty()) {
    const auto end = data.find('\n');
    const std::string_view part = data.substr(0, end);
    partial_ += part.substr(0, kMaxBuildLineBytes - std::min(kMaxBuildLineBytes, partial_.size()));
    if (end == data.npos) break;
    data.remove_prefix(end + 1);
    while (partial_.ends_with('\r')) partial_.pop_back();
    remember(partial_);
    lines.push_back(std::move(partial_));
    partial_.clear();
  }
  return lines;
}

std::vector<std::string> BuildLog::finish() {
  return partial_.empty() ? std::vector<std::string>() : feed("\n");
}

std::string BuildLog::failure(std::string_view status) const {
  std::string out = step_.empty() ? fmt::format("the build failed ({})", status)
                                  : fmt::format("\"{}\" failed ({})", step_, status);
  out += tail_.empty() ? "" : "; its last lines:";
  for (const std::string& line : tail_) out += "\n  " + line;
  return out;
}

}  // namespace perigee::image
