#include "worker/encrypted_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "crypto/xts.h"
#include "sys/fd.h"

namespace perigee::worker {
namespace {

// A unit of encryption, and dm-crypt's number for it: that of its first 512 bytes.
constexpr off_t kUnit = 4096;
constexpr off_t kNumbered = 512;

Result<void> encrypt_unit(int from, int to, off_t at, std::string_view key) {
  std::string plain(static_cast<std::size_t>(kUnit), '\0');
  if (::pread(from, plain.data(), plain.size(), at) != kUnit) {
    return fail(errno_error(errno, "read the new file system"));
  }
  const auto number = static_cast<std::uint64_t>(at / kNumbered);
  TRY(const std::string cipher, crypto::xts_encrypt(key, number, plain));
  if (::pwrite(to, cipher.data(), cipher.size(), at) != kUnit) {
    return fail(errno_error(errno, "write the disk"));
  }
  return {};
}

Result<void> encrypt_data(int from, int to, off_t size, std::string_view key) {
  for (off_t at = 0; at < size;) {
    const off_t data = ::lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return {};  // only a hole is left
    if (data < 0) return fail(errno_error(errno, "look for data"));
    const off_t hole = ::lseek(from, data, SEEK_HOLE);
    if (hole < 0) return fail(errno_error(errno, "look for holes"));
    for (at = data - data % kUnit; at < hole; at += kUnit) {
      TRY_VOID(encrypt_unit(from, to, at, key));
    }
  }
  return {};
}

}  // namespace

Result<void> write_encrypted(int plain, const std::string& path, std::string_view key) {
  TRY(const sys::Fd disk,
      sys::own(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), "make " + path));
  struct stat status{};
  if (::fstat(plain, &status) != 0) return fail(errno_error(errno, "stat the new file system"));
  if (::ftruncate(disk.get(), status.st_size) != 0) return fail(errno_error(errno, "size " + path));
  TRY_VOID_AS(encrypt_data(plain, disk.get(), status.st_size, key), path);
  return {};
}

}  // namespace perigee::worker
