#include "image/disk_maker.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "image/erofs_writer.h"
#include "image/temp_file.h"

namespace perigee::image {
namespace {

// Held while its name is being made; the file of it stays, empty.
Result<sys::Fd> lock(const std::string& path) {
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC;
  TRY(sys::Fd fd, sys::own(::open(path.c_str(), flags, 0600), "open " + path));
  while (::flock(fd.get(), LOCK_EX) < 0) {
    if (errno != EINTR) return fail(errno_error(errno, "lock " + path));
  }
  return fd;
}

bool exists(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0;
}

// A disk that is there and sound. A broken one (a lying disk, a hand that truncated it) goes away.
bool is_ready(const std::string& path) {
  if (!exists(path)) return false;
  const auto fd = open_for_reading(path);
  if (fd && check_erofs(fd->get())) return true;
  ::unlink(path.c_str());
  return false;
}

Result<Applied> convert(const DiskOrder& order, int out, const CancelFlag& cancel) {
  std::vector<sys::Fd> files;
  std::vector<LayerBlob> blobs;
  for (std::size_t i = 0; i < order.layers.size(); ++i) {
    const Layer& layer = order.layers[i];
    TRY_AS(sys::Fd file, open_for_reading(order.blobs[i]), "layer " + layer.digest);
    blobs.push_back(
        {.fd = file.get(), .size = layer.size, .digest = layer.digest, .diff_id = layer.diff_id});
    files.push_back(std::move(file));
  }
  return convert_layers(blobs, order.role, out, cancel);
}

}  // namespace

Result<Applied> make_disk(const DiskOrder& order, const CancelFlag& cancel) {
  TRY_VOID(make_directory(order.directory + "/locks"));
  const std::string path = order.directory + "/" + order.name;
  TRY(const sys::Fd held, lock(order.directory + "/locks/" + order.name));
  if (is_ready(path)) return Applied::whole;
  const bool may_lean = order.role == LayerRole::overlay;
  if (may_lean && exists(order.directory + "/" + order.mark)) return Applied::needs_lower;
  // World-readable: each VM's monitor runs as a user of its own.
  TRY(TempFile file, TempFile::create(order.directory, 0644));
  TRY(const Applied applied, convert(order, file.fd(), cancel));
  if (applied == Applied::whole) {
    TRY_VOID(file.publish(order.name));
    return applied;
  }
  TRY(TempFile mark, TempFile::create(order.directory, 0644));
  TRY_VOID(mark.publish(order.mark));
  return applied;
}

}  // namespace perigee::image
