#include "monitor/jail_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace perigee::monitor {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kFolderMode = 0700;
constexpr mode_t kPipeMode = 0600;

// SAFETY: paths are the plan's, in a root that no VMM has run in yet.
Result<void> give(const std::string& path, vm::JailUser user) {
  if (::lchown(path.c_str(), user.uid, user.gid) < 0) {
    return fail(errno_error(errno, "hand over " + path));
  }
  return {};
}

Result<void> make_root(const vm::JailPlan& plan) {
  std::error_code error;
  fs::remove_all(plan.root, error);
  if (!error) fs::create_directories(plan.root, error);
  if (error) return fail(errno_error(error.value(), "make " + plan.root));
  if (::chmod(plan.base.c_str(), kFolderMode) < 0) return fail(errno_error(errno, plan.base));
  return {};
}

Result<void> put_file(const vm::JailPlan& plan, const vm::JailFile& file, vm::JailUser user) {
  const std::string to = vm::in_jail(plan, file.path);
  const bool shared = file.use == vm::JailFile::Use::shared;
  if (::link(file.source.c_str(), to.c_str()) < 0) {
    if (errno != EXDEV || !shared) {
      return fail(errno_error(errno, fmt::format("link {} into the jail", file.source)));
    }
    std::error_code error;
    fs::copy_file(file.source, to, error);
    if (error)
      return fail(errno_error(error.value(), fmt::format("copy {} into the jail", file.source)));
  }
  if (shared) return {};
  return give(to, user);
}

// Opens without following a symbolic link anywhere, nor leaving the VM's directory.
Result<sys::Fd> open_inside(const std::string& path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
  const long fd = ::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how);
  return sys::own(static_cast<int>(fd), "open " + path);
}

Result<struct stat> status_of(const sys::Fd& fd, const std::string& path) {
  struct stat status{};
  if (::fstat(fd.get(), &status) < 0) return fail(errno_error(errno, path));
  return status;
}

}  // namespace

Result<void> lay_out_jail(const vm::JailPlan& plan, vm::JailUser user) {
  TRY_VOID(make_root(plan));
  for (const std::string& folder : plan.folders) {
    const std::string path = vm::in_jail(plan, folder);
    if (::mkdir(path.c_str(), kFolderMode) < 0) return fail(errno_error(errno, "make " + path));
    TRY_VOID(give(path, user));
  }
  for (const std::string& pipe : plan.pipes) {
    const std::string path = vm::in_jail(plan, pipe);
    if (::mkfifo(path.c_str(), kPipeMode) < 0) return fail(errno_error(errno, "make " + path));
    TRY_VOID(give(path, user));
  }
  for (const vm::JailFile& file : plan.files) TRY_VOID(put_file(plan, file, user));
  return {};
}

void remove_jail(const vm::JailPlan& plan) {
  std::error_code ignored;  // the next boot removes it, and says so where it can't
  fs::remove_all(plan.base, ignored);
}

Result<JailEntry> jail_entry(const vm::JailPlan& plan, std::string_view path, JailEntryKind kind) {
  JailEntry entry{.held = {}, .path = vm::in_jail(plan, path)};
  TRY(entry.held, open_inside(entry.path, O_PATH | O_NOFOLLOW));
  TRY(const struct stat status, status_of(entry.held, entry.path));
  const bool right =
      kind == JailEntryKind::socket ? S_ISSOCK(status.st_mode) : S_ISFIFO(status.st_mode);
  if (!right) return fail(Code::data_loss, "{} is not what the VMM should have there", entry.path);
  entry.path = fmt::format("/proc/self/fd/{}", entry.held.get());
  return entry;
}

// By descriptor from the check to the link, so that what was checked is what is taken. One link: a
// second name of a shared file would be handed to the VMM at the resume.
Result<void> take_from_jail(const vm::JailPlan& plan, std::string_view path, std::string_view name,
                            vm::JailUser user) {
  const std::string from = vm::in_jail(plan, path);
  TRY(const sys::Fd file, open_inside(from, O_RDONLY | O_NONBLOCK));
  TRY(const struct stat status, status_of(file, from));
  if (!S_ISREG(status.st_mode) || status.st_nlink != 1 || status.st_uid != user.uid) {
    return fail(Code::data_loss, "{} is not a file that the VMM has written", from);
  }
  if (::fsync(file.get()) < 0) return fail(errno_error(errno, "sync " + from));
  const std::string fresh = std::string(name) + ".new";
  const std::string held = fmt::format("/proc/self/fd/{}", file.get());
  ::unlink(fresh.c_str());
  if (::linkat(AT_FDCWD, held.c_str(), AT_FDCWD, fresh.c_str(), AT_SYMLINK_FOLLOW) < 0 ||
      ::rename(fresh.c_str(), std::string(name).c_str()) < 0) {
    return fail(errno_error(errno, fmt::format("take {}", from)));
  }
  return {};
}

}  // namespace perigee::monitor
