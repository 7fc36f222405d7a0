#include "vm/accelerator.h"

#include "base/log.h"
#include "base/text.h"
#include "sys/procfs.h"
#include "sys/tsc.h"

namespace perigee::vm {
namespace {

constexpr Duration kTrialDeadline = 30s;  // the trial bounds itself at half of that
constexpr std::size_t kMaxReason = 300;
constexpr std::uint64_t kMaxVerdictFile = 64 * 1024;

std::string verdict_file(const std::string& host_dir) {
  return host_dir + "/accelerator.json";
}

Result<AcceleratorVerdict> verdict_from(std::string_view text, std::string_view host_boot) {
  TRY(const json::Value value, json::parse(text));
  TRY(const std::string boot, value.require_string("host_boot"));
  if (boot != host_boot) return fail(Code::not_found, "of an earlier boot");
  AcceleratorVerdict verdict;
  TRY(const std::string name, value.require_string("accelerator"));
  verdict.accelerator = name == "kvm" ? Accelerator::kvm : Accelerator::tcg;
  TRY(verdict.reason, value.optional_string("reason"));
  TRY(const std::int64_t khz, value.require_int("tsc_khz"));
  if (khz <= 0 || khz > 100'000'000) return fail(Code::data_loss, "tsc_khz: {}", khz);
  verdict.tsc_khz = static_cast<std::uint32_t>(khz);
  return verdict;
}

async::Task<Result<void>> keep(sys::Host& host, const AcceleratorVerdict& verdict,
                               const std::string& host_dir, const std::string& host_boot) {
  const json::Value value = json::object({{"host_boot", host_boot},
                                          {"accelerator", to_string(verdict.accelerator)},
                                          {"reason", verdict.reason},
                                          {"tsc_khz", static_cast<std::int64_t>(verdict.tsc_khz)}});
  CO_TRY_VOID(co_await host.disk.make_directories(host_dir, 0700));
  co_return co_await host.disk.write_file(verdict_file(host_dir), value.dump_pretty(), 0600,
                                          sys::Durability::cached);
}

// Boots a VM with KVM. An error says why it did not work.
async::Task<Result<void>> try_kvm(sys::Host& host, const TrialSettings& settings) {
  CO_TRY(const bool device, co_await host.disk.exists("/dev/kvm"));
  if (!device) co_return fail(Code::unavailable, "there is no /dev/kvm");
  const std::string directory = settings.host_dir + "/trial";
  CO_TRY_VOID(co_await host.disk.remove_tree(directory));
  CO_TRY_VOID(co_await host.disk.make_directories(directory, 0700));
  BootSpec boot{.vmm = settings.vmm};
  boot.vm.machine = MachineId("trial");
  boot.vm.memory_mib = 128;
  boot.vmm.accelerator = Accelerator::kvm;
  CO_TRY_VOID(co_await host.disk.write_file(fmt::format("{}/{}", directory, kSpecFile),
                                            to_json(boot).dump(), 0600, sys::Durability::cached));
  const sys::Spawn spawn{.argv = {settings.monitor_program, "--trial", directory}};
  CO_TRY(const sys::Completed trial,
         co_await host.processes.run(spawn, "", host.loop.deadline_in(kTrialDeadline)));
  if (!trial.status.success()) {
    const std::string_view words = split(trim(trial.err), '\n').front();
    co_return fail(Code::unavailable, "{}", words.substr(0, kMaxReason));
  }
  co_return co_await host.disk.remove_tree(directory);
}

}  // namespace

async::Task<Result<AcceleratorVerdict>> detect_accelerator(sys::Host& host, TrialSettings settings,
                                                           std::optional<Accelerator> forced) {
  CO_TRY(const std::string host_boot, sys::host_boot_id());
  const auto text = co_await host.disk.read_file(verdict_file(settings.host_dir), kMaxVerdictFile);
  if (text) {
    auto kept = verdict_from(*text, host_boot);
    if (kept && forced) kept->accelerator = *forced;
    if (kept) co_return *std::move(kept);
  }
  AcceleratorVerdict verdict;
  verdict.tsc_khz = co_await host.pool.run(host.loop, sys::measure_tsc_khz);
  if (forced) {
    verdict.accelerator = *forced;
    co_return verdict;  // not kept: a later start without the setting makes its own trial
  }
  const auto kvm = co_await try_kvm(host, settings);
  verdict.accelerator = kvm ? Accelerator::kvm : Accelerator::tcg;
  if (!kvm) verdict.reason = kvm.error().context;
  log_info("vm", "accelerator: {}{}{}", to_string(verdict.accelerator),
           kvm ? "" : " (KVM does not work here: ", kvm ? "" : verdict.reason + ")");
  CO_TRY_VOID(co_await keep(host, verdict, settings.host_dir, host_boot));
  co_return verdict;
}

}  // namespace perigee::vm
