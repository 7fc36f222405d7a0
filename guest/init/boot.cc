#include "init/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/system.h"
#include "init/text.h"

namespace perigee::init {
namespace {

constexpr std::string_view kRebuild = "rebuild the initrd (tools/guest/make-initrd)";

Status mount_one(const char* type, const char* path, unsigned long flags) {
  mkdir(path, 0755);
  // SAFETY: the initrd's own directories; nothing else runs yet.
  if (mount(type, path, type, flags, nullptr) != 0 && errno != EBUSY) {
    return fail_errno(std::string("mounting ") + path, errno, "the kernel lacks a file system");
  }
  return {};
}

Status load_module(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    return fail_errno("kernel module " + path, errno, kRebuild);
  }
  // SAFETY: a module of the kernel's own package, from the initrd that the host built. ENODEV: it
  // is for a processor's feature (AES-NI) that this one lacks; another module does the work then.
  if (syscall(SYS_finit_module, file.get(), "", 0) != 0 && errno != EEXIST && errno != ENODEV) {
    return fail_errno("kernel module " + path, errno, kRebuild);
  }
  return {};
}

constexpr std::string_view kEncryption = "encryption";

enum class Fate { kLoad, kFree, kKeep };

// `fate_of` says what becomes of a module by its purpose, which may be empty.
template <typename F>
Status for_each_module(F fate_of) {
  const Result<std::string> order = read_file("/lib/modules.order");
  if (!order) {
    return fail("initrd: /lib/modules.order is missing; " + std::string(kRebuild));
  }
  for (const std::string_view line : split(*order, '\n')) {
    const auto fields = words(line);
    if (fields.empty()) {
      continue;
    }
    const std::string path = "/lib/modules/" + std::string(fields[0]) + ".ko";
    const Fate fate = fate_of(fields.size() > 1 ? fields[1] : std::string_view());
    if (fate == Fate::kLoad) {
      if (auto loaded = load_module(path); !loaded) {
        return loaded;
      }
    }
    if (fate != Fate::kKeep) {
      unlink(path.c_str());  // the initrd lies in memory
    }
  }
  return {};
}

}  // namespace

Status mount_kernel_filesystems() {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NOEXEC | MS_NODEV;
  if (auto done = mount_one("proc", "/proc", kFlags); !done) {
    return done;
  }
  if (auto done = mount_one("sysfs", "/sys", kFlags); !done) {
    return done;
  }
  return mount_one("devtmpfs", "/dev", MS_NOSUID);
}

Result<BootParameters> read_boot_parameters() {
  const Result<std::string> cmdline = read_file("/proc/cmdline");
  if (!cmdline) {
    return std::unexpected(cmdline.error());
  }
  BootParameters parameters;
  if (const auto carrier = boot_parameter(*cmdline, "perigee.carrier")) {
    parameters.carrier = *carrier;
  }
  if (boot_parameter(*cmdline, "perigee.exit") == "poweroff") {
    parameters.exit_by = ExitBy::kPowerOff;
  }
  return parameters;
}

Status load_modules(const std::string& carrier) {
  return for_each_module([&carrier](std::string_view purpose) {
    if (purpose == kEncryption) {
      return Fate::kKeep;
    }
    return purpose.empty() || purpose == carrier ? Fate::kLoad : Fate::kFree;
  });
}

Status settle_encryption_modules(Encryption encryption) {
  return for_each_module([encryption](std::string_view purpose) {
    if (purpose != kEncryption) {
      return Fate::kKeep;  // settled long ago
    }
    return encryption == Encryption::kUsed ? Fate::kLoad : Fate::kFree;
  });
}

}  // namespace perigee::init
