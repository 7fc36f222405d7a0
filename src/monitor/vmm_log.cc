#include "monitor/vmm_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "vm/spec.h"

namespace perigee::monitor {
namespace {

constexpr mode_t kMode = 0600;
constexpr std::size_t kBuffer = 4096;
constexpr std::size_t kMaxFirstLine = 400;

std::string here(std::string_view name) {
  return fmt::format("./{}", name);
}

}  // namespace

Result<sys::Fd> open_vmm_pipe() {
  const std::string path = here(vm::kVmmPipe);
  if (::mkfifo(path.c_str(), kMode) < 0 && errno != EEXIST) {
    return fail(errno_error(errno, "make " + path));
  }
  return sys::own(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC), "open " + path);
}

void remove_vmm_pipe() {
  ::unlink(here(vm::kVmmPipe).c_str());
}

Result<VmmLog> VmmLog::open(Earlier earlier) {
  if (earlier == Earlier::drop) {
    for (const std::string_view name : {vm::kVmmLog, vm::kOldVmmLog}) ::unlink(here(name).c_str());
  }
  TRY(BoundedLog log, BoundedLog::open(here(vm::kVmmLog), here(vm::kOldVmmLog)));
  return VmmLog(std::move(log));
}

async::Task<void> VmmLog::pump(sys::Host& host) {
  const auto pipe = host.network.open_pipe(here(vm::kVmmPipe));
  if (!pipe) {  // a VMM that a monitor of an earlier version has started
    log_warning("monitor", "the VMM's own words are not kept: {}", pipe.error().context);
    co_return;
  }
  std::string buffer(kBuffer, '\0');
  while (true) {
    const auto n = co_await (*pipe)->read(buffer);
    if (!n || *n == 0) co_return;
    log_.append(std::string_view(buffer).substr(0, *n));
  }
}

void VmmLog::drain() {
  const sys::Fd pipe(::open(here(vm::kVmmPipe).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  std::array<char, kBuffer> buffer;
  while (pipe.valid()) {
    const ssize_t n = ::read(pipe.get(), buffer.data(), buffer.size());
    if (n <= 0) return;
    log_.append({buffer.data(), static_cast<std::size_t>(n)});
  }
}

std::string VmmLog::first_line() const {
  const sys::Fd file(::open(here(vm::kVmmLog).c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(kBuffer, '\0');
  const ssize_t n = ::read(file.get(), text.data(), text.size());
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return std::string(split(trim(text), '\n').front().substr(0, kMaxFirstLine));
}

}  // namespace perigee::monitor
