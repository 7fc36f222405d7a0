// perigee-monitor: the keeper of one VM (see ../README.md).
//
//   perigee-monitor DIR           boots the VM that DIR/spec.json describes, goes to the background
//   perigee-monitor --secrets-on-stdin DIR
//                                 boots it with the secrets that are written there (vm/spec.h)
//   perigee-monitor --adopt DIR   takes up the VMM that a dead monitor has left
//   perigee-monitor --trial DIR [SECONDS]
//                                 boots to init's first word within the time (15 s) and ends the VM
//                                 again, in the foreground
//
// Exit status: 0 the VM is in a monitor's keeping (or ended in the meantime: exit.json says how; or
// the trial went well), 1 otherwise, with a sentence on standard error.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "monitor/daemon.h"
#include "monitor/lost.h"
#include "monitor/monitor.h"
#include "sys/core_dumps.h"
#include "sys/posix_host.h"

namespace {

using namespace perigee;

constexpr std::int64_t kTrialSeconds = 15;
constexpr std::uint64_t kMaxTrialSeconds = 600;

enum class Mode { boot, adopt, trial };

struct Arguments {
  Mode mode = Mode::boot;
  std::string directory;
  bool secrets_on_stdin = false;
  Duration trial_timeout = std::chrono::seconds(kTrialSeconds);
};

// One monitor per directory; held until the process ends.
Result<sys::Fd> lock() {
  const std::string path(vm::kLockFile);
  TRY(sys::Fd fd, sys::own(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), path));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) < 0) {
    return fail(Code::conflict, "another monitor keeps this VM");
  }
  return fd;
}

async::Task<Result<vm::BootSpec>> read_spec(sys::Host& host) {
  CO_TRY(const std::string text,
         co_await host.disk.read_file(std::string(vm::kSpecFile), vm::kMaxRecordFile));
  CO_TRY(const json::Value value, json::parse(text));
  co_return vm::boot_spec_from(value);
}

Result<vm::VmSecrets> read_secrets() {
  std::string input(vm::kMaxSecretsInput + 1, '\0');
  std::size_t size = 0;
  while (size < input.size()) {
    const ssize_t n = ::read(STDIN_FILENO, input.data() + size, input.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "read the secrets"));
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > vm::kMaxSecretsInput) {
    return fail(Code::resource_exhausted, "secrets: more than {} bytes", vm::kMaxSecretsInput);
  }
  auto secrets = vm::secrets_from(std::string_view(input).substr(0, size));
  ::explicit_bzero(input.data(), input.size());
  return secrets;
}

async::Task<int> run(sys::Host& host, Mode mode, vm::VmSecrets secrets,
                     monitor::Readiness& readiness) {
  auto spec = co_await read_spec(host);
  if (!spec) {
    readiness.failed(spec.error().with("spec.json").context);
    co_return 1;
  }
  const vm::BootSpec boot = *spec;
  spec->vm.secrets = std::move(secrets);
  monitor::Monitor monitor(host, *std::move(spec));
  const auto started = mode == Mode::adopt ? co_await monitor.adopt() : co_await monitor.boot();
  if (started) {
    readiness.succeeded();
    co_await monitor.keep();
    co_return 0;
  }
  log_error("monitor", "{}", started.error().context);
  if (mode == Mode::adopt && started.error().code == Code::not_found) {
    // The VMM is gone, too. Somebody must say so.
    const auto recorded = co_await monitor::record_lost_vm(host, boot);
    if (recorded) {
      readiness.succeeded();
      co_return 0;
    }
  }
  readiness.failed(started.error().context);
  co_return 1;
}

int complain(const Error& error) {
  (void)std::fprintf(stderr, "%s\n", error.context.c_str());
  return 1;
}

int keep_vm(const Arguments& arguments) {
  // Before anything confidential is in this process.
  if (const auto done = sys::forbid_core_dumps(); !done) return complain(done.error());
  vm::VmSecrets secrets;
  if (arguments.secrets_on_stdin) {
    auto read = read_secrets();
    if (!read) return complain(read.error());
    secrets = *std::move(read);
  }
  auto readiness = monitor::become_daemon(arguments.directory, std::string(vm::kMonitorLog));
  if (!readiness) return complain(readiness.error());
  const auto locked = lock();
  if (!locked) {
    readiness->failed(locked.error().context);
    return 1;
  }
  auto host = sys::PosixHost::open(0);
  if (!host) {
    readiness->failed(host.error().context);
    return 1;
  }
  return (*host)->loop().run(run((*host)->host(), arguments.mode, std::move(secrets), *readiness));
}

async::Task<Result<void>> run_trial(sys::Host& host, Duration timeout) {
  CO_TRY(vm::BootSpec spec, co_await read_spec(host));
  monitor::Monitor monitor(host, std::move(spec));
  co_return co_await monitor.trial(timeout);
}

int try_boot(const Arguments& arguments) {
  if (::chdir(arguments.directory.c_str()) < 0) {
    return complain(errno_error(errno, "enter " + arguments.directory));
  }
  auto host = sys::PosixHost::open(0);
  if (!host) return complain(host.error());
  const auto done = (*host)->loop().run(run_trial((*host)->host(), arguments.trial_timeout));
  return done ? 0 : complain(done.error());
}

std::optional<Arguments> parse(std::vector<std::string> words) {
  Arguments out;
  if (!words.empty() && words.front() == "--adopt") out.mode = Mode::adopt;
  if (!words.empty() && words.front() == "--trial") out.mode = Mode::trial;
  out.secrets_on_stdin = !words.empty() && words.front() == "--secrets-on-stdin";
  if (out.mode != Mode::boot || out.secrets_on_stdin) words.erase(words.begin());
  if (out.mode == Mode::trial && words.size() == 2) {
    const auto seconds = parse_uint(words.back(), kMaxTrialSeconds);
    if (!seconds || *seconds == 0) return std::nullopt;
    out.trial_timeout = std::chrono::seconds(*seconds);
    words.pop_back();
  }
  if (words.size() != 1 || words.front().starts_with('-')) return std::nullopt;
  out.directory = std::move(words.front());
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse(std::vector<std::string>(argv + 1, argv + argc));
  if (!arguments) {
    (void)std::fputs(
        "usage: perigee-monitor [--adopt | --secrets-on-stdin] DIRECTORY\n"
        "       perigee-monitor --trial DIRECTORY [SECONDS]\n",
        stderr);
    return 2;
  }
  if (arguments->mode == Mode::trial) return try_boot(*arguments);
  return keep_vm(*arguments);
}
