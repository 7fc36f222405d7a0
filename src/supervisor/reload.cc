#include "supervisor/reload.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sys/fd.h"

namespace perigee::supervisor {
namespace {

std::string order_path(const std::string& run_directory) {
  return run_directory + "/reload";
}

// Why the last one failed; not there: it did not.
std::string failure_path(const std::string& run_directory) {
  return run_directory + "/reload.failed";
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Result<void> order_reload(const std::string& run_directory, const std::string& program) {
  const std::string path = order_path(run_directory);
  const std::string whole = path + ".new";
  {
    std::ofstream file(whole, std::ios::trunc);
    file << program;
    if (!file.flush()) return fail(errno_error(errno, "write " + whole));
  }
  ::unlink(failure_path(run_directory).c_str());
  const int linked = ::link(whole.c_str(), path.c_str());  // unlike rename(2), not over another
  const int error = errno;
  ::unlink(whole.c_str());
  if (linked == 0) return {};
  if (error != EEXIST) return fail(errno_error(error, "write " + path));
  return fail(Code::conflict, "perigeed is being reloaded already ({})", path);
}

std::string ordered_program(const std::string& run_directory) {
  return read_text(order_path(run_directory));
}

void finish_reload(const std::string& run_directory, const Result<void>& result) {
  if (!result) std::ofstream(failure_path(run_directory)) << result.error().context;
  ::unlink(order_path(run_directory).c_str());
}

std::optional<Result<void>> reload_result(const std::string& run_directory) {
  std::error_code ignored;
  if (std::filesystem::exists(order_path(run_directory), ignored)) return std::nullopt;
  const std::string failure = read_text(failure_path(run_directory));
  if (failure.empty()) return Result<void>();
  return fail(Code::unavailable, "{}", failure);
}

}  // namespace perigee::supervisor
