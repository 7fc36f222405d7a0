#include "lab/teardown.h"

#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/text.h"
#include "config/paths.h"
#include "lab/bring_up.h"
#include "lab/limits.h"
#include "lab/topology.h"
#include "mesh/device.h"
#include "sys/cgroup.h"
#include "sys/netns.h"
#include "sys/procfs.h"
#include "vm/names.h"

namespace perigee::lab {
namespace {

namespace fs = std::filesystem;

constexpr Duration kSweepPause = 50ms;
constexpr int kSweeps = 200;
constexpr const char* kNamespaces = "/run/netns";

std::vector<std::string> namespaces_of(const std::string& id) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kNamespaces, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(namespace_prefix(id))) out.push_back(name);
  }
  std::ranges::sort(out);
  return out;
}

// This process and those above it: `perigee lab exec iad -- perigee lab down` would be among what
// it ends.
std::set<pid_t> own_line() {
  std::set<pid_t> line{::getpid()};
  pid_t pid = ::getppid();
  while (pid > 1 && line.insert(pid).second) {
    const auto parent = sys::parent_process(pid);
    if (!parent) break;
    pid = *parent;
  }
  return line;
}

std::vector<pid_t> processes_of(const std::string& id, const std::vector<std::string>& namespaces) {
  std::set<pid_t> found;
  for (const pid_t pid : sys::processes_with_environment(process_mark(id))) found.insert(pid);
  for (const std::string& name : namespaces) {
    const std::string path = sys::network_namespace_path(name);
    for (const pid_t pid : sys::processes_in_network_namespace(path)) found.insert(pid);
  }
  for (const pid_t own : own_line()) found.erase(own);
  return {found.begin(), found.end()};
}

std::vector<std::string> mounts_in(const std::string& directory) {
  std::vector<std::string> out;
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    const auto fields = split(line, ' ');
    if (fields.size() > 4 && fields[4].starts_with(directory + "/")) out.emplace_back(fields[4]);
  }
  std::ranges::reverse(out);  // those on top of others first
  return out;
}

// Of each folder in the lab's that may be a node's.
std::vector<std::string> state_folders(const std::string& directory) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.is_directory(error)) {
      out.push_back(config::paths_under(entry.path().string(), "").state);
    }
  }
  return out;
}

std::vector<std::string> node_cgroups(const std::string& directory) {
  std::vector<std::string> out;
  for (const std::string& state : state_folders(directory)) {
    out.push_back(vm::node_cgroup(state));
  }
  return out;
}

std::vector<std::string> cgroups_in(const std::string& directory) {
  std::vector<std::string> out;
  const auto cgroups = sys::Cgroups::detect();
  if (!cgroups) return out;
  for (const std::string& group : node_cgroups(directory)) {
    for (const sys::CgroupHierarchy& hierarchy : cgroups->hierarchies()) {
      const std::string place = fmt::format("{}/{}", hierarchy.mount, group);
      if (fs::exists(place)) out.push_back(place);
    }
  }
  return out;
}

// A process that was killed is in its group until the kernel is done with it: long after its
// environment and its namespaces, by which processes_of() finds it, are gone.
async::Task<void> remove_cgroups(sys::Host& host, std::string directory) {
  const auto cgroups = sys::Cgroups::detect();
  if (!cgroups) co_return;
  const MonotonicTime until = host.loop.now() + kCgroupsEmpty;
  for (;;) {
    for (const std::string& group : node_cgroups(directory)) cgroups->remove_empty(group);
    if (cgroups_in(directory).empty() || host.loop.now() > until) co_return;
    co_await host.loop.sleep(kSweepPause);
  }
}

// What a wireguard-go that was killed has left outside of the folder.
async::Task<Result<void>> remove_mesh_devices(sys::Host& host, std::string directory) {
  for (const std::string& state : state_folders(directory)) {
    CO_TRY_VOID(co_await mesh::remove_device(host, mesh::interface_name(state)));
  }
  co_return Result<void>();
}

// Until none is left: what was ended may just have started another.
async::Task<void> end_processes(sys::Host& host, std::string id) {
  for (int i = 0; i < kSweeps; ++i) {
    const std::vector<pid_t> left = processes_of(id, namespaces_of(id));
    if (left.empty()) co_return;
    for (const pid_t pid : left) {
      const auto process = host.processes.adopt(pid);
      if (!process) continue;  // it ended meanwhile
      [[maybe_unused]] const auto sent = (*process)->signal(SIGKILL);
    }
    co_await host.loop.sleep(kSweepPause);
  }
}

async::Task<Result<void>> delete_namespace(sys::Host& host, std::string name) {
  const sys::Spawn spawn{.argv = {"ip", "netns", "delete", name}};
  CO_TRY(const sys::Completed done,
         co_await host.processes.run(spawn, "", host.loop.deadline_in(kIpTimeout)));
  if (!done.status.success()) co_return fail(sys::helper_failed(spawn, done));
  co_return Result<void>();
}

// A folder without a lab's file is somebody else's. The file goes last, so that an end in between
// finds the lab again.
async::Task<Result<void>> remove_folder(sys::Host& host, std::string directory) {
  const std::string file = make_plan(directory, {}).state_file();
  CO_TRY(const bool ours, co_await host.disk.exists(file));
  if (!ours) co_return Result<void>();
  CO_TRY(const std::vector<std::string> names, co_await host.disk.list(directory));
  for (const std::string& name : names) {
    const std::string path = fmt::format("{}/{}", directory, name);
    if (path != file) CO_TRY_VOID(co_await host.disk.remove_tree(path));
  }
  co_return co_await host.disk.remove_tree(directory);
}

}  // namespace

std::vector<std::string> Remains::lines() const {
  std::vector<std::string> out;
  out.reserve(processes.size());
  for (const pid_t pid : processes) out.push_back(fmt::format("process {}", pid));
  for (const std::string& name : namespaces) out.push_back("network namespace " + name);
  for (const std::string& place : mounts) out.push_back("mount " + place);
  for (const std::string& place : cgroups) out.push_back("control group " + place);
  return out;
}

Remains find_remains(const std::string& directory) {
  const std::string id = lab_id(directory);
  const std::vector<std::string> namespaces = namespaces_of(id);
  return {.processes = processes_of(id, namespaces),
          .namespaces = namespaces,
          .mounts = mounts_in(directory),
          .cgroups = cgroups_in(directory)};
}

// SAFETY: ends processes by mark and namespace, and unmounts below the lab's folder: all of it was
// made by `perigee lab up`.
async::Task<Result<void>> remove_lab(sys::Host& host, std::string directory) {
  const std::string id = lab_id(directory);
  co_await end_processes(host, id);
  for (const std::string& place : mounts_in(directory)) ::umount2(place.c_str(), MNT_DETACH);
  for (const std::string& name : namespaces_of(id)) {
    CO_TRY_VOID(co_await delete_namespace(host, name));
  }
  co_await remove_cgroups(host, directory);
  CO_TRY_VOID(co_await remove_mesh_devices(host, directory));
  const Remains left = find_remains(directory);
  if (!left.empty()) {
    co_return fail(Code::internal, "still there of the lab in {}: {}", directory,
                   join(left.lines(), ", "));
  }
  co_return co_await remove_folder(host, directory);
}

}  // namespace perigee::lab
