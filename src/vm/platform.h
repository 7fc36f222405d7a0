// What this host's VMs run on. Firecracker comes first, then QEMU with KVM, then QEMU alone, and
// the first that boots a VM is taken: KVM may be there and still not work (a nested host, a missing
// feature), so each is tried by a real boot to init's first word within a time bound. The answer is
// kept for as long as the host stays up and has the same programs.
//
//   CO_TRY(auto verdict, co_await detect_platform(host, settings, std::nullopt));
//   CO_TRY(auto vmm, settings_for(verdict.platform, settings.guest));
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "sys/host.h"
#include "vm/spec.h"

namespace perigee::vm {

enum class Platform { firecracker, kvm, tcg };  // the latter two: QEMU
inline constexpr std::array kPlatforms{Platform::firecracker, Platform::kvm, Platform::tcg};
std::string_view to_string(Platform platform);
std::optional<Platform> platform_named(std::string_view name);

struct Guest {
  std::string kernel;  // vmlinux
  std::string initrd;
  std::string encryption_initrd = {};  // for machines with an encrypted volume
  std::uint32_t tsc_khz = 0;           // the host's; 0: unknown
};
// `not_found`: the programs are not installed.
Result<VmmSettings> settings_for(Platform platform, const Guest& guest);

struct Refusal {
  Platform platform = Platform::firecracker;
  std::string reason = {};
  bool operator==(const Refusal&) const = default;
};

struct PlatformVerdict {
  Platform platform = Platform::tcg;
  std::vector<Refusal> refused = {};  // those that were preferred, and why they were not taken
  std::uint32_t tsc_khz = 0;          // measured along
  bool operator==(const PlatformVerdict&) const = default;
};
std::string to_string(const std::vector<Refusal>& refused);  // "firecracker: …; kvm: …"
// As the file keeps it. `host_boot` and `programs` are what the verdict depends on.
json::Value to_json(const PlatformVerdict& verdict, const std::string& host_boot,
                    const std::string& programs);
Result<PlatformVerdict> verdict_from(const json::Value& value, std::string_view host_boot,
                                     std::string_view programs);

struct TrialSettings {
  std::string host_dir;         // keeps platform.json; the trial runs in trial/ there
  std::string monitor_program;  // perigee-monitor
  Guest guest;
};

// Boots a VM to init's first word. An error says why it did not work.
async::Task<Result<void>> try_platform(sys::Host& host, TrialSettings settings, Platform platform,
                                       Duration timeout);

// The kept verdict, or a new one. `forced` skips the trials.
async::Task<Result<PlatformVerdict>> detect_platform(sys::Host& host, TrialSettings settings,
                                                     std::optional<Platform> forced);

}  // namespace perigee::vm
