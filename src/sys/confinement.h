// Confinement: what a program is kept from when it is started (Spawn::confinement): a user of its
// own without capabilities or a way to gain any, namespaces of its own (processes, mounts, IPC,
// host name, and the network unless it may use the host's) with a root that holds the host's
// programs and libraries read-only, its own processes and a few devices, resource limits, and
// control groups that it is in before it runs.
//
// Prepared by the parent, applied by the child between fork and exec. Needs root. Used by the
// monitor for the VMM, by control for the ACME client.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace perigee::sys {

struct Confinement {
  enum class Network { none, of_host };

  uid_t uid = 0;  // not 0
  gid_t gid = 0;
  // An empty directory, absolute; the program's root is mounted there, unseen by others.
  std::string root = {};
  // Seen in the root, read-only: {the host's path, path there}.
  std::vector<std::pair<std::string, std::string>> directories = {};
  // The same, to be written to.
  std::vector<std::pair<std::string, std::string>> writable_directories = {};
  Network network = Network::none;
  // Such as "/dev/null": the program's own nodes of them. Those that are absent are left out.
  std::vector<std::string> devices = {};
  std::string working_directory = "/";    // in the root
  std::vector<std::string> cgroups = {};  // their directories
  unsigned max_open_files = 1024;
  unsigned max_threads = 256;  // of the uid
  bool operator==(const Confinement&) const = default;
};

// The way from a fork to the confined program, as plain steps: nothing in apply() allocates.
class ConfinementPlan {
 public:
  // `invalid_argument` for uid 0 or a relative root.
  static Result<ConfinementPlan> make(const Confinement& confinement);

  // Flags for clone(2).
  int namespaces() const;
  // SAFETY: in the child, before exec; only async-signal-safe calls. A null pointer: done;
  // otherwise what failed, with errno set.
  const char* apply() const;

 private:
  struct Mount {
    std::string from;
    std::string to;
    unsigned long flags;
  };
  struct Device {
    std::string path;
    dev_t number;
  };

  explicit ConfinementPlan(Confinement confinement) : confinement_(std::move(confinement)) {}
  Result<void> plan_system_folders();
  void plan_directory(const std::string& from, const std::string& to, unsigned long flags);
  void plan_devices();
  const char* join_cgroups() const;
  const char* enter_root() const;
  const char* fill_root() const;
  const char* limit_resources() const;
  const char* drop_privileges() const;

  Confinement confinement_;
  std::vector<std::string> folders_;  // to make in the root
  std::vector<Mount> binds_;          // directories
  std::vector<Device> devices_;
  std::vector<std::pair<std::string, std::string>> symlinks_;  // {target, path}
  std::vector<std::string> cgroup_files_;
  std::string proc_;
};

}  // namespace perigee::sys
