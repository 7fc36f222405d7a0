#include "sys/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "base/text.h"
#include "sys/fd.h"

namespace perigee::sys {
namespace {

constexpr std::array<Controller, 3> kControllers{Controller::cpu, Controller::memory,
                                                 Controller::pids};
constexpr mode_t kGroupMode = 0755;
constexpr int kPeriodUs = 50'000;  // short, so that a capped group waits in small steps
constexpr int kUsPerPercent = kPeriodUs / 100;
constexpr int kV1SharesPerWeight1000 = 10'240;  // weight 100, the default, is 1024 shares
constexpr int kV1MinShares = 2;

using Version = CgroupHierarchy::Version;

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Controller> named_in(std::string_view text, char separator) {
  std::vector<Controller> out;
  for (const std::string_view word : split(trim(text), separator)) {
    for (const Controller controller : kControllers) {
      if (word == to_string(controller)) out.push_back(controller);
    }
  }
  return out;
}

Result<void> write_value(const std::string& path, std::string_view value) {
  TRY(const Fd fd, own(::open(path.c_str(), O_WRONLY | O_CLOEXEC), "open " + path));
  if (::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    return fail(errno_error(errno, fmt::format("write '{}' to {}", value, path)));
  }
  return {};
}

Result<void> make_group(const std::string& path) {
  if (::mkdir(path.c_str(), kGroupMode) == 0 || errno == EEXIST) return {};
  return fail(errno_error(errno, "make the control group " + path));
}

// Version 2 hands controllers down one level at a time.
Result<void> hand_down(const CgroupHierarchy& hierarchy, const std::string& parent) {
  if (hierarchy.version == Version::v1) return {};
  for (const std::string& at : {hierarchy.mount, parent}) {
    for (const Controller controller : hierarchy.controllers) {
      TRY_VOID(
          write_value(at + "/cgroup.subtree_control", fmt::format("+{}", to_string(controller))));
    }
  }
  return {};
}

void add_cpu(std::vector<CgroupSetting>& out, Version version, const CgroupLimits& limits) {
  const int quota = limits.cpu_percent * kUsPerPercent;
  if (version == Version::v2) {
    out.push_back({"cpu.weight", fmt::format("{}", limits.cpu_weight)});
    out.push_back({"cpu.max", quota > 0 ? fmt::format("{} {}", quota, kPeriodUs) : "max"});
    return;
  }
  const int shares = std::max(kV1MinShares, limits.cpu_weight * kV1SharesPerWeight1000 / 1000);
  out.push_back({"cpu.shares", fmt::format("{}", shares)});
  out.push_back({"cpu.cfs_period_us", fmt::format("{}", kPeriodUs)});
  out.push_back({"cpu.cfs_quota_us", fmt::format("{}", quota > 0 ? quota : -1)});
}

// Swap does not come on top of memory.
void add_memory(std::vector<CgroupSetting>& out, Version version, const CgroupLimits& limits) {
  if (limits.memory_bytes == 0) return;
  const std::string bytes = fmt::format("{}", limits.memory_bytes);
  if (version == Version::v1) {
    out.push_back({"memory.limit_in_bytes", bytes});
    out.push_back({"memory.memsw.limit_in_bytes", bytes});
    return;
  }
  out.push_back({"memory.max", bytes});
  out.push_back({"memory.swap.max", "0"});
  out.push_back({"memory.oom.group", "1"});
}

std::string place_of(const CgroupHierarchy& hierarchy, std::string_view group) {
  return fmt::format("{}/{}", hierarchy.mount, group);
}

}  // namespace

bool may_be_missing(std::string_view file) {
  return file == "memory.swap.max" || file == "memory.memsw.limit_in_bytes";
}

std::string_view to_string(Controller controller) {
  switch (controller) {
    case Controller::cpu:
      return "cpu";
    case Controller::memory:
      return "memory";
    case Controller::pids:
      return "pids";
  }
  return "";
}

std::vector<CgroupSetting> cgroup_settings(const CgroupHierarchy& hierarchy,
                                           const CgroupLimits& limits) {
  std::vector<CgroupSetting> out;
  for (const Controller controller : hierarchy.controllers) {
    if (controller == Controller::cpu) add_cpu(out, hierarchy.version, limits);
    if (controller == Controller::memory) add_memory(out, hierarchy.version, limits);
    if (controller == Controller::pids && limits.max_processes > 0) {
      out.push_back({"pids.max", fmt::format("{}", limits.max_processes)});
    }
  }
  return out;
}

// A line of /proc/self/mounts: device, place, type, options, two numbers. A controller that version
// 1 has is not in version 2's list, so none is found twice.
Result<Cgroups> Cgroups::detect(const std::string& mounts) {
  std::vector<CgroupHierarchy> found;
  const std::string text = read_text(mounts);
  if (text.empty()) return fail(Code::unavailable, "{}: nothing to read there", mounts);
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> fields = split(line, ' ');
    if (fields.size() < 4) continue;
    CgroupHierarchy hierarchy{.mount = std::string(fields[1])};
    if (fields[2] == "cgroup") {
      hierarchy.version = Version::v1;
      hierarchy.controllers = named_in(fields[3], ',');
    } else if (fields[2] == "cgroup2") {
      hierarchy.controllers = named_in(read_text(hierarchy.mount + "/cgroup.controllers"), ' ');
    }
    if (!hierarchy.controllers.empty()) found.push_back(std::move(hierarchy));
  }
  return Cgroups(std::move(found));
}

std::vector<Controller> Cgroups::missing() const {
  std::vector<Controller> out;
  for (const Controller controller : kControllers) {
    const bool there = std::ranges::any_of(hierarchies_, [&](const CgroupHierarchy& hierarchy) {
      return std::ranges::count(hierarchy.controllers, controller) > 0;
    });
    if (!there) out.push_back(controller);
  }
  return out;
}

Result<std::vector<std::string>> Cgroups::create(std::string_view group,
                                                 const CgroupLimits& limits) const {
  const auto parts = split_once(group, '/');
  if (!parts) return fail(Code::invalid_argument, "'{}' is not parent/name", group);
  std::vector<std::string> directories;
  for (const CgroupHierarchy& hierarchy : hierarchies_) {
    const std::string parent = place_of(hierarchy, parts->first);
    const std::string place = place_of(hierarchy, group);
    TRY_VOID(make_group(parent));
    TRY_VOID(hand_down(hierarchy, parent));
    ::rmdir(place.c_str());  // what a crash has left may have other limits
    TRY_VOID(make_group(place));
    for (const CgroupSetting& setting : cgroup_settings(hierarchy, limits)) {
      const std::string file = fmt::format("{}/{}", place, setting.file);
      if (may_be_missing(setting.file) && ::access(file.c_str(), F_OK) < 0) continue;
      TRY_VOID(write_value(file, setting.value));
    }
    directories.push_back(place);
  }
  return directories;
}

std::vector<pid_t> Cgroups::processes(std::string_view group) const {
  std::set<pid_t> found;
  for (const CgroupHierarchy& hierarchy : hierarchies_) {
    std::ifstream file(place_of(hierarchy, group) + "/cgroup.procs");
    for (pid_t pid = 0; file >> pid;) found.insert(pid);
  }
  return {found.begin(), found.end()};
}

Result<void> Cgroups::remove(std::string_view group) const {
  Result<void> done;
  for (const CgroupHierarchy& hierarchy : hierarchies_) {
    const std::string place = place_of(hierarchy, group);
    if (::rmdir(place.c_str()) == 0 || errno == ENOENT) continue;
    const int error = errno;
    done = error == EBUSY ? fail(Code::conflict, "{}: processes are in it", place)
                          : fail(errno_error(error, "remove the control group " + place));
  }
  return done;
}

void Cgroups::remove_empty(std::string_view parent) const {
  for (const CgroupHierarchy& hierarchy : hierarchies_) {
    const std::string place = place_of(hierarchy, parent);
    std::error_code error;
    std::vector<std::string> children;
    for (const auto& entry : std::filesystem::directory_iterator(place, error)) {
      if (entry.is_directory(error)) children.push_back(entry.path().string());
    }
    for (const std::string& child : children) ::rmdir(child.c_str());
    ::rmdir(place.c_str());
  }
}

}  // namespace perigee::sys
