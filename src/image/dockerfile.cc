// build_dockerfile: runs an image builder that is installed, passing on its output line by line.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <utility>

#include "base/text.h"
#include "image/build_tool.h"
#include "image/image.h"
#include "image/limits.h"
#include "sys/fd.h"

namespace perigee::image {
namespace {

bool is_installed(std::string_view program) {
  const char* path = std::getenv("PATH");
  for (const std::string_view folder : split(path == nullptr ? "/usr/bin:/bin" : path, ':')) {
    if (::access(fmt::format("{}/{}", folder, program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

Result<BuildTool> choose_tool() {
  for (const BuildTool tool : {BuildTool::buildah, BuildTool::podman, BuildTool::docker}) {
    if (is_installed(name_of(tool))) return tool;
  }
  return fail(Code::not_found,
              "building a Dockerfile needs buildah, podman or docker, and none is installed "
              "(Debian: apt install buildah)");
}

Result<void> check_inputs(const Build& build) {
  struct stat info{};
  const std::string& context = build.context_directory;
  if (::stat(context.c_str(), &info) < 0) return fail(errno_error(errno, context));
  if (!S_ISDIR(info.st_mode)) {
    return fail(Code::invalid_argument, "{}: the build context is not a directory", context);
  }
  const std::string file = build.dockerfile.empty() ? "Dockerfile" : build.dockerfile;
  const std::string path = file.starts_with('/') ? file : context + "/" + file;
  if (::access(path.c_str(), R_OK) < 0) return fail(errno_error(errno, path));
  return {};
}

// A process that ends with its owner: a build that is no longer wanted is stopped.
class Ended {
 public:
  explicit Ended(std::unique_ptr<sys::Process> process) : process_(std::move(process)) {}
  ~Ended() {
    if (!over_) std::ignore = process_->signal(SIGTERM);
  }
  Ended(const Ended&) = delete;
  Ended& operator=(const Ended&) = delete;
  async::Task<sys::ExitStatus> wait() {
    const sys::ExitStatus status = co_await process_->wait();
    over_ = true;
    co_return status;
  }

 private:
  std::unique_ptr<sys::Process> process_;
  bool over_ = false;
};

struct Pipe {
  sys::Fd read;
  sys::Fd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return fail(errno_error(errno, "make a pipe"));
  return Pipe{sys::Fd(ends[0]), sys::Fd(ends[1])};
}

Result<std::string> read_some(int fd) {
  std::string data(4096, '\0');
  for (;;) {
    const ssize_t n = ::read(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "read the builder's output"));
    data.resize(static_cast<std::size_t>(n));
    return data;
  }
}

// Runs `argv` to its end; every line of both its streams goes to `line`.
async::Task<Result<void>> run_builder(sys::Host& host, std::vector<std::string> argv,
                                      const OnLine& line) {
  CO_TRY(Pipe pipe, make_pipe());
  const sys::Spawn spawn{.argv = std::move(argv),
                         .descriptors = {{pipe.write.get(), 1}, {pipe.write.get(), 2}}};
  CO_TRY(auto process, host.processes.spawn(spawn));
  Ended ended(std::move(process));
  pipe.write.reset();
  BuildLog log;
  const auto reader = std::make_shared<sys::Fd>(std::move(pipe.read));
  for (;;) {
    CO_TRY(const std::string data,
           co_await host.pool.run(host.loop, [reader] { return read_some(reader->get()); }));
    for (const std::string& text : data.empty() ? log.finish() : log.feed(data)) {
      if (line) line(text);
    }
    if (data.empty()) break;
  }
  const sys::ExitStatus status = co_await ended.wait();
  if (!status.success()) co_return fail(Code::invalid_argument, "{}", log.failure(status.str()));
  co_return Result<void>();
}

// A directory of ours beside the result; holds the image's id.
class Scratch {
 public:
  static Result<Scratch> make(const std::string& beside) {
    std::string path = beside + ".XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return fail(errno_error(errno, "make " + path));
    return Scratch(path);
  }
  Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  std::string id_file() const { return path_ + "/id"; }

 private:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace

async::Task<Result<void>> build_dockerfile(sys::Host& host, Build build, std::string out_path,
                                           OnLine line) {
  CO_TRY_VOID_AS(check_inputs(build), "build");
  CO_TRY(const BuildTool tool, choose_tool());
  if (tool == BuildTool::docker && !build.ignore_file.empty()) {
    co_return fail(Code::unsupported,
                   "ignorefile: docker reads .dockerignore only; rename {}, or install buildah",
                   build.ignore_file);
  }
  CO_TRY(const Scratch scratch, Scratch::make(out_path));
  const std::string name(name_of(tool));
  CO_TRY_VOID_AS(co_await run_builder(host, build_command(tool, build, scratch.id_file()), line),
                 name);
  CO_TRY(const std::string id, co_await host.disk.read_file(scratch.id_file(), 1024));
  CO_TRY_VOID(co_await host.disk.remove(out_path));
  const auto command = export_command(tool, std::string(trim(id)), out_path);
  CO_TRY_VOID_AS(co_await run_builder(host, command, line), name);
  co_return Result<void>();
}

}  // namespace perigee::image
