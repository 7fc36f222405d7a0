// Firecracker's API calls for a BootSpec, as values: pure functions, checked against golden text
// here and against the API's specification by the contract server (e2e/firecracker/). Paths are
// those that Firecracker sees in its jail (jail.h). What the choices rest on is in
// docs/decisions/0009-firecracker.md.
//
//   1. GET /version, parse_firecracker_version()
//   2. boot_calls(), or load_calls() and, once the snapshot's record is gone, resume_call()
//   3. to suspend: pause_call(), save_call(); then it is killed
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "vm/spec.h"

namespace perigee::vm {

struct FirecrackerVersion {
  int major = 0;
  int minor = 0;
  auto operator<=>(const FirecrackerVersion&) const = default;
};
// "1.16.1", "1.17.0-dev". `unsupported`: one before kOldestFirecracker.
Result<FirecrackerVersion> parse_firecracker_version(std::string_view text);
inline constexpr FirecrackerVersion kOldestFirecracker{1, 14};  // has PUT /serial

struct ApiCall {
  std::string method;
  std::string path;
  json::Value body = {};  // null: none
  bool operator==(const ApiCall&) const = default;
};

// A fresh process, to the running guest.
std::vector<ApiCall> boot_calls(const BootSpec& boot, FirecrackerVersion version);
// A fresh process, to the guest as it was saved, standing still.
std::vector<ApiCall> load_calls(FirecrackerVersion version);
ApiCall pause_call();
ApiCall save_call();
ApiCall resume_call();

std::string firecracker_command_line();  // the guest kernel's

// Why a Firecracker ended that was not asked to: "exit code 148: a forbidden system call
// (seccomp)".
std::string firecracker_exit_words(int exit_code);

// 17 virtio devices on MMIO; network card, vsock, balloon and entropy take four.
inline constexpr int kMaxFirecrackerDisks = 17 - 4;

}  // namespace perigee::vm
