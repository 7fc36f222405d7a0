#include "vm/platform.h"

#include <chrono>
#include <filesystem>

#include "base/log.h"
#include "base/text.h"
#include "sys/procfs.h"
#include "sys/tsc.h"

namespace perigee::vm {
namespace {

constexpr Duration kTrialTimeout = 15s;   // a good one takes well under 1 s on metal
constexpr Duration kTrialPatience = 15s;  // for the monitor to end by itself after that
constexpr int kTrialMemoryMib = 128;
constexpr std::size_t kMaxReason = 300;
constexpr std::uint64_t kMaxVerdictFile = std::uint64_t{64} * 1024;
constexpr std::int64_t kMaxTscKhz = 100'000'000;

std::string verdict_file(const std::string& host_dir) {
  return host_dir + "/platform.json";
}

// Absolute and without symbolic links: the jailer names the jail after the file itself.
Result<std::string> program_file(const std::string& name) {
  TRY(const std::string found, sys::find_program(name));
  std::error_code error;
  const std::filesystem::path file = std::filesystem::canonical(found, error);
  if (error) return fail(errno_error(error.value(), found));
  return file.string();
}

// What is installed of what a verdict depends on.
std::string installed_programs() {
  std::string text;
  for (const char* name : {"firecracker", "jailer", "qemu-system-x86_64"}) {
    text += program_file(name).value_or("") + ";";
  }
  return text;
}

async::Task<Result<void>> write_trial_spec(sys::Host& host, const std::string& directory,
                                           VmmSettings vmm) {
  BootSpec boot{.vmm = std::move(vmm)};
  boot.vm.machine = MachineId("trial");
  boot.vm.memory_mib = kTrialMemoryMib;
  CO_TRY_VOID(co_await host.disk.remove_tree(directory));
  CO_TRY_VOID(co_await host.disk.make_directories(directory, 0700));
  co_return co_await host.disk.write_file(fmt::format("{}/{}", directory, kSpecFile),
                                          to_json(boot).dump(), 0600, sys::Durability::cached);
}

async::Task<Result<PlatformVerdict>> kept_verdict(sys::Host& host, const std::string& host_dir,
                                                  const std::string& host_boot,
                                                  const std::string& programs) {
  CO_TRY(const std::string text,
         co_await host.disk.read_file(verdict_file(host_dir), kMaxVerdictFile));
  CO_TRY(const json::Value value, json::parse(text));
  co_return verdict_from(value, host_boot, programs);
}

// The last one is not tried: there is nothing else to take.
async::Task<PlatformVerdict> try_all(sys::Host& host, TrialSettings settings) {
  PlatformVerdict verdict{.platform = kPlatforms.back(), .tsc_khz = settings.guest.tsc_khz};
  for (const Platform platform : kPlatforms) {
    if (platform == kPlatforms.back()) break;
    const auto works = co_await try_platform(host, settings, platform, kTrialTimeout);
    if (works) {
      verdict.platform = platform;
      break;
    }
    verdict.refused.push_back({platform, works.error().context});
  }
  log_info("vm", "VMs run on {}{}{}", to_string(verdict.platform),
           verdict.refused.empty() ? "" : "; ", to_string(verdict.refused));
  co_return verdict;
}

}  // namespace

std::string_view to_string(Platform platform) {
  switch (platform) {
    case Platform::firecracker:
      return "firecracker";
    case Platform::kvm:
      return "kvm";
    case Platform::tcg:
      return "tcg";
  }
  return "unknown";
}

std::optional<Platform> platform_named(std::string_view name) {
  for (const Platform platform : kPlatforms) {
    if (to_string(platform) == name) return platform;
  }
  return std::nullopt;
}

Result<VmmSettings> settings_for(Platform platform, const Guest& guest) {
  VmmSettings vmm{.accelerator = platform == Platform::tcg ? Accelerator::tcg : Accelerator::kvm,
                  .kernel = guest.kernel,
                  .initrd = guest.initrd,
                  .tsc_khz = guest.tsc_khz};
  if (platform != Platform::firecracker) return vmm;
  vmm.kind = VmmKind::firecracker;
  TRY(vmm.program, program_file("firecracker"));
  TRY(vmm.jailer, program_file("jailer"));
  return vmm;
}

std::string to_string(const std::vector<Refusal>& refused) {
  std::vector<std::string> parts;
  for (const Refusal& each : refused) {
    parts.push_back(fmt::format("{}: {}", to_string(each.platform), each.reason));
  }
  return join(parts, "; ");
}

json::Value to_json(const PlatformVerdict& verdict, const std::string& host_boot,
                    const std::string& programs) {
  json::Value refused = json::array();
  for (const Refusal& each : verdict.refused) {
    refused.push(json::object({{"platform", to_string(each.platform)}, {"reason", each.reason}}));
  }
  return json::object({{"host_boot", host_boot},
                       {"programs", programs},
                       {"platform", to_string(verdict.platform)},
                       {"refused", std::move(refused)},
                       {"tsc_khz", static_cast<std::int64_t>(verdict.tsc_khz)}});
}

Result<PlatformVerdict> verdict_from(const json::Value& value, std::string_view host_boot,
                                     std::string_view programs) {
  TRY(const std::string boot, value.require_string("host_boot"));
  TRY(const std::string had, value.require_string("programs"));
  if (boot != host_boot) return fail(Code::not_found, "of an earlier boot");
  if (had != programs) return fail(Code::not_found, "of other programs");
  const auto platform = [](const json::Value& from) -> Result<Platform> {
    TRY(const std::string name, from.require_string("platform"));
    const auto found = platform_named(name);
    if (!found) return fail(Code::data_loss, "platform: '{}'", name);
    return *found;
  };
  PlatformVerdict verdict;
  TRY(verdict.platform, platform(value));
  const json::Value* refused = value.find("refused");
  for (const json::Value& each : refused == nullptr ? json::Array() : refused->items()) {
    Refusal refusal;
    TRY(refusal.platform, platform(each));
    TRY(refusal.reason, each.require_string("reason"));
    verdict.refused.push_back(std::move(refusal));
  }
  TRY(const std::int64_t khz, value.require_int("tsc_khz"));
  if (khz <= 0 || khz > kMaxTscKhz) return fail(Code::data_loss, "tsc_khz: {}", khz);
  verdict.tsc_khz = static_cast<std::uint32_t>(khz);
  return verdict;
}

async::Task<Result<void>> try_platform(sys::Host& host, TrialSettings settings, Platform platform,
                                       Duration timeout) {
  CO_TRY(VmmSettings vmm, settings_for(platform, settings.guest));
  CO_TRY(const bool device, co_await host.disk.exists("/dev/kvm"));
  if (platform != Platform::tcg && !device) {
    co_return fail(Code::unavailable, "there is no /dev/kvm");
  }
  const std::string directory = settings.host_dir + "/trial";
  CO_TRY_VOID(co_await write_trial_spec(host, directory, std::move(vmm)));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout).count();
  const sys::Spawn spawn{
      .argv = {settings.monitor_program, "--trial", directory, fmt::format("{}", seconds)}};
  CO_TRY(const sys::Completed trial,
         co_await host.processes.run(spawn, "", host.loop.deadline_in(timeout + kTrialPatience)));
  if (!trial.status.success()) {
    const std::string_view words = split(trim(trial.err), '\n').front();
    co_return fail(Code::unavailable, "{}", words.substr(0, kMaxReason));
  }
  co_return co_await host.disk.remove_tree(directory);
}

async::Task<Result<PlatformVerdict>> detect_platform(sys::Host& host, TrialSettings settings,
                                                     std::optional<Platform> forced) {
  CO_TRY(const std::string host_boot, sys::host_boot_id());
  const std::string programs = installed_programs();
  auto kept = co_await kept_verdict(host, settings.host_dir, host_boot, programs);
  if (kept && forced) *kept = {.platform = *forced, .refused = {}, .tsc_khz = kept->tsc_khz};
  if (kept) co_return *std::move(kept);
  settings.guest.tsc_khz = co_await host.pool.run(host.loop, sys::measure_tsc_khz);
  if (forced) {  // not kept: a later start without the setting makes its own trials
    co_return PlatformVerdict{
        .platform = *forced, .refused = {}, .tsc_khz = settings.guest.tsc_khz};
  }
  PlatformVerdict verdict = co_await try_all(host, settings);
  CO_TRY_VOID(co_await host.disk.make_directories(settings.host_dir, 0700));
  CO_TRY_VOID(co_await host.disk.write_file(verdict_file(settings.host_dir),
                                            to_json(verdict, host_boot, programs).dump_pretty(),
                                            0600, sys::Durability::cached));
  co_return verdict;
}

}  // namespace perigee::vm
