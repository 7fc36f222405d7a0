#include "cli/trials.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "sys/tsc.h"
#include "vm/platform.h"

namespace perigee::cli {
namespace {

constexpr Duration kTimeout = 60s;  // of each boot: emulation is slow where the host is busy

struct Trial {
  vm::Platform platform = vm::Platform::tcg;
  Result<void> outcome = {};
  Duration took = {};
};

std::string_view title(vm::Platform platform) {
  switch (platform) {
    case vm::Platform::firecracker:
      return "Firecracker";
    case vm::Platform::kvm:
      return "QEMU with KVM";
    case vm::Platform::tcg:
      return "QEMU without KVM (emulated, slow)";
  }
  return "unknown";
}

std::int64_t milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

// In a folder that no node uses.
Result<vm::TrialSettings> settings_of(const Session& session, const config::NodeConfig& node) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(errno_error(error.value(), "/proc/self/exe"));
  vm::TrialSettings settings;
  settings.host_dir = fmt::format("{}/self-test-{}", session.paths().host_cache(), ::getpid());
  settings.monitor_program = (program.parent_path() / "perigee-monitor").string();
  settings.guest = {.kernel = node.guest_directory + "/vmlinux",
                    .initrd = node.guest_directory + "/initrd.cpio"};
  return settings;
}

void print_trial(const Trial& trial) {
  if (trial.outcome) {
    print(fmt::format("ok    {} boots a microVM in {:.2f} s", title(trial.platform),
                      static_cast<double>(milliseconds(trial.took)) / 1000));
    return;
  }
  print(fmt::format("no    {}", title(trial.platform)));
  print(fmt::format("      -> {}", trial.outcome.error().context));
}

json::Value to_json(const std::vector<Trial>& trials) {
  json::Value out = json::array();
  for (const Trial& trial : trials) {
    out.push(
        json::object({{"platform", vm::to_string(trial.platform)},
                      {"works", trial.outcome.has_value()},
                      {"took_ms", milliseconds(trial.took)},
                      {"reason", trial.outcome ? std::string() : trial.outcome.error().context}}));
  }
  return out;
}

}  // namespace

async::Task<Result<void>> self_test(Session& session, config::NodeConfig node) {
  if (::geteuid() != 0) {
    co_return fail(Code::permission_denied,
                   "the self-test boots microVMs, which needs root: "
                   "sudo perigee doctor --self-test");
  }
  sys::Host& host = session.host();
  CO_TRY(vm::TrialSettings settings, settings_of(session, node));
  settings.guest.tsc_khz = co_await host.pool.run(host.loop, sys::measure_tsc_khz);
  std::vector<Trial> trials;
  bool any = false;
  for (const vm::Platform platform : vm::kPlatforms) {
    const MonotonicTime began = host.loop.now();
    auto outcome = co_await vm::try_platform(host, settings, platform, kTimeout);
    any = any || outcome;
    trials.push_back({platform, std::move(outcome), host.loop.now() - began});
    if (!session.options().json) print_trial(trials.back());
  }
  CO_TRY_VOID(co_await host.disk.remove_tree(settings.host_dir));
  if (session.options().json) print_json(to_json(trials));
  if (!any) co_return fail(Code::unavailable, "no microVM can be booted on this server");
  co_return Result<void>();
}

}  // namespace perigee::cli
