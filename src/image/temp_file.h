// TempFile: a file that has no name until it is whole. Nothing is left behind by a process that
// dies: the file is unnamed (O_TMPFILE); where the file system can't do that, it has a name that is
// removed with the object. Blocking; private to the image module.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "sys/fd.h"

namespace perigee::image {

class TempFile {
 public:
  // In `directory`, which is made where it is not there.
  static Result<TempFile> create(const std::string& directory, unsigned mode);
  TempFile(TempFile&&) noexcept;
  TempFile& operator=(TempFile&&) = delete;
  ~TempFile();

  int fd() const { return fd_.get(); }
  Result<void> write(std::string_view data);
  // Syncs it and names it `name` in its directory, all at once. A file of that name stays as it
  // is: names say the content here. False: there was one.
  Result<bool> publish(const std::string& name);

 private:
  TempFile(std::string directory, sys::Fd fd, std::string path);

  std::string directory_;
  sys::Fd fd_;
  std::string path_;  // of a named one
};

Result<void> make_directory(const std::string& path);
Result<sys::Fd> open_for_reading(const std::string& path);  // a regular file

}  // namespace perigee::image
