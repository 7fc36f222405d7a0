#include "image/temp_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace perigee::image {

Result<void> make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail(errno_error(error.value(), "make directory " + path));
  return {};
}

Result<sys::Fd> open_for_reading(const std::string& path) {
  // Non-blocking: a FIFO must not hold us up.
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  TRY(sys::Fd fd, sys::own(::open(path.c_str(), flags), "open " + path));
  struct stat info{};
  if (::fstat(fd.get(), &info) < 0) return fail(errno_error(errno, "stat " + path));
  if (!S_ISREG(info.st_mode)) {
    return fail(Code::invalid_argument, "{}: not a regular file", path);
  }
  return fd;
}

TempFile::TempFile(std::string directory, sys::Fd fd, std::string path)
    : directory_(std::move(directory)), fd_(std::move(fd)), path_(std::move(path)) {}

TempFile::TempFile(TempFile&& other) noexcept
    : directory_(std::move(other.directory_)),
      fd_(std::move(other.fd_)),
      path_(std::exchange(other.path_, {})) {}

TempFile::~TempFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<TempFile> TempFile::create(const std::string& directory, unsigned mode) {
  TRY_VOID(make_directory(directory));
  const int flags = O_TMPFILE | O_RDWR | O_CLOEXEC;
  sys::Fd unnamed(::open(directory.c_str(), flags, static_cast<mode_t>(mode)));
  if (unnamed.valid()) return TempFile(directory, std::move(unnamed), "");
  if (errno != EOPNOTSUPP && errno != EISDIR) {
    return fail(errno_error(errno, "make a file in " + directory));
  }
  std::string path = directory + "/.new-XXXXXX";
  TRY(sys::Fd named, sys::own(::mkostemp(path.data(), O_CLOEXEC), "make a file in " + directory));
  ::fchmod(named.get(), static_cast<mode_t>(mode));
  return TempFile(directory, std::move(named), path);
}

Result<void> TempFile::write(std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd_.get(), data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "write to a file in " + directory_));
    data.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<bool> TempFile::publish(const std::string& name) {
  const std::string target = directory_ + "/" + name;
  if (::fdatasync(fd_.get()) < 0) return fail(errno_error(errno, "sync " + target));
  const std::string from = path_.empty() ? fmt::format("/proc/self/fd/{}", fd_.get()) : path_;
  const int linked = ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, target.c_str(), AT_SYMLINK_FOLLOW);
  if (linked < 0 && errno == EEXIST) return false;
  if (linked < 0) return fail(errno_error(errno, "name " + target));
  const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  TRY(const sys::Fd directory, sys::own(::open(directory_.c_str(), flags), "open " + directory_));
  if (::fsync(directory.get()) < 0) return fail(errno_error(errno, "sync " + directory_));
  return true;
}

}  // namespace perigee::image
