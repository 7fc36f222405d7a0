#include "init/encryption.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/keyctl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstddef>

#include "init/root.h"
#include "init/system.h"

namespace perigee::init {
namespace {

constexpr std::uint64_t kSectorBytes = 512;
constexpr std::size_t kMaxParameters = 256;
constexpr std::string_view kTarget = "crypt";

// One call to the device mapper: a header, and for a table one target with its parameters.
struct Request {
  dm_ioctl header{};
  dm_target_spec target{};
  char parameters[kMaxParameters]{};

  explicit Request(std::string_view name) {
    header.version[0] = DM_VERSION_MAJOR;
    header.data_size = sizeof(Request);
    header.data_start = offsetof(Request, target);
    name.copy(header.name, sizeof header.name - 1);
  }
};

// The kernel finds it while this object lives.
class KernelKey {
 public:
  KernelKey(const std::string& name, std::string_view key)
      : id_(syscall(SYS_add_key, "logon", name.c_str(), key.data(), key.size(),
                    KEY_SPEC_THREAD_KEYRING)) {}
  ~KernelKey() { syscall(SYS_keyctl, KEYCTL_CLEAR, KEY_SPEC_THREAD_KEYRING); }
  KernelKey(const KernelKey&) = delete;
  KernelKey& operator=(const KernelKey&) = delete;
  explicit operator bool() const { return id_ >= 0; }

 private:
  long id_;
};

Result<std::uint64_t> sectors_of(const std::string& disk) {
  const Fd device(open(disk.c_str(), O_RDONLY | O_CLOEXEC));
  std::uint64_t bytes = 0;
  if (!device || ioctl(device.get(), BLKGETSIZE64, &bytes) != 0) {
    return fail_errno(disk + ": its size", errno, "");
  }
  return bytes / kSectorBytes;
}

// https://docs.kernel.org/admin-guide/device-mapper/dm-crypt.html: cipher, key, offset of the
// tweak, device, its first sector, options.
std::string crypt_parameters(const std::string& disk, const std::string& key_name,
                             std::size_t key_bytes) {
  return "aes-xts-plain64 :" + std::to_string(key_bytes) + ":logon:" + key_name + " 0 " + disk +
         " 0 2 allow_discards sector_size:4096";
}

}  // namespace

Result<std::string> map_encrypted(std::uint32_t index, std::string_view key) {
  const std::string disk = disk_path(index);
  const std::string name = "volume-" + std::to_string(index);
  const std::string key_name = "perigee:" + name;  // a logon key's name has a prefix
  const auto failed = [&disk](std::string_view what) {
    return fail_errno(disk + ": " + std::string(what), errno,
                      "see the kernel's lines on the machine's console");
  };
  const Result<std::uint64_t> sectors = sectors_of(disk);
  if (!sectors) {
    return std::unexpected(sectors.error());
  }
  const KernelKey kernel_key(key_name, key);
  if (!kernel_key) {
    return failed("giving the kernel its key");
  }
  const Fd mapper(open("/dev/mapper/control", O_RDWR | O_CLOEXEC));
  Request created(name);
  // SAFETY: maps the machine's own disk, before the app runs.
  if (!mapper || ioctl(mapper.get(), DM_DEV_CREATE, &created) != 0) {
    return failed("making its decrypted device");
  }
  Request table(name);
  table.header.target_count = 1;
  table.target.length = *sectors;
  kTarget.copy(table.target.target_type, sizeof table.target.target_type - 1);
  crypt_parameters(disk, key_name, key.size()).copy(table.parameters, kMaxParameters - 1);
  if (ioctl(mapper.get(), DM_TABLE_LOAD, &table) != 0) {
    return failed("setting up dm-crypt");
  }
  Request resumed(name);  // the call that suspends, without the flag that says so
  if (ioctl(mapper.get(), DM_DEV_SUSPEND, &resumed) != 0) {
    return failed("starting dm-crypt");
  }
  return "/dev/dm-" + std::to_string(minor(created.header.dev));
}

}  // namespace perigee::init
