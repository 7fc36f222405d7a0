// The image builders that Perigee knows, and what their output means. Pure. Private to the image
// module.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "image/image.h"

namespace perigee::image {

enum class BuildTool { buildah, podman, docker };
std::string_view name_of(BuildTool tool);

// The command that builds into the tool's own storage and writes the image's id to `id_file`.
std::vector<std::string> build_command(BuildTool tool, const Build& build,
                                       const std::string& id_file);
// The command that writes the image `id` to `out_path` as an archive.
std::vector<std::string> export_command(BuildTool tool, const std::string& id,
                                        const std::string& out_path);

// Cuts output into lines, and remembers what an error has to say.
class BuildLog {
 public:
  // Whole lines of `data`, joined to what came before; a line that is too long is cut.
  std::vector<std::string> feed(std::string_view data);
  std::vector<std::string> finish();  // a last line without its end
  // "step STEP 2/3: RUN make failed (exit code 2): …last lines"
  std::string failure(std::string_view status) const;

 private:
  void remember(const std::string& line);

  std::string partial_;
  std::string step_;
  std::deque<std::string> tail_;
};

}  // namespace perigee::image
