#include "sys/kernel_setting.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "base/text.h"
#include "sys/fd.h"

namespace perigee::sys {

std::string read_setting(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  return std::string(trim(text));
}

Result<void> write_setting(const std::string& path, std::string_view value) {
  TRY(const Fd fd, own(::open(path.c_str(), O_WRONLY | O_CLOEXEC), "open " + path));
  if (::write(fd.get(), value.data(), value.size()) < 0) {
    return fail(errno_error(errno, fmt::format("write {} to {}", value, path)));
  }
  return {};
}

}  // namespace perigee::sys
