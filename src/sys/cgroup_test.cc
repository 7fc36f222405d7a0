// Control groups against folders that look like cgroupfs, and, as root, against the real one.
#include "sys/cgroup.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace perigee::sys {
namespace {

namespace fs = std::filesystem;
using Version = CgroupHierarchy::Version;

struct Fixture {
  Fixture() {
    std::string pattern = "/tmp/perigee-cgroup-XXXXXX";
    directory = ::mkdtemp(pattern.data());
  }
  ~Fixture() { fs::remove_all(directory); }
  void write(const std::string& name, const std::string& text) {
    fs::create_directories(fs::path(directory + "/" + name).parent_path());
    std::ofstream(directory + "/" + name) << text;
  }
  std::string read(const std::string& name) {
    std::ifstream file(directory + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string place(const std::string& name) { return directory + "/" + name; }
  // Mounts of a host with `lines`; DIR stands for the folder.
  Cgroups detect(std::string lines) {
    for (std::size_t at; (at = lines.find("DIR")) != std::string::npos;) {
      lines.replace(at, 3, directory);
    }
    write("mounts", lines);
    auto found = Cgroups::detect(place("mounts"));
    REQUIRE(found.has_value());
    return *std::move(found);
  }
  std::string directory;
};

constexpr CgroupLimits kLimits{
    .cpu_percent = 150, .cpu_weight = 100, .memory_bytes = 1 << 28, .max_processes = 64};

}  // namespace

TEST_CASE("limits of version 1 and of version 2 say the same") {
  const std::vector<Controller> all{Controller::cpu, Controller::memory, Controller::pids};
  CHECK(cgroup_settings({Version::v2, "/c", all}, kLimits) ==
        std::vector<CgroupSetting>{{"cpu.weight", "100"},
                                   {"cpu.max", "75000 50000"},
                                   {"memory.max", "268435456"},
                                   {"memory.swap.max", "0"},
                                   {"memory.oom.group", "1"},
                                   {"pids.max", "64"}});
  CHECK(cgroup_settings({Version::v1, "/c", all}, kLimits) ==
        std::vector<CgroupSetting>{{"cpu.shares", "1024"},
                                   {"cpu.cfs_period_us", "50000"},
                                   {"cpu.cfs_quota_us", "75000"},
                                   {"memory.limit_in_bytes", "268435456"},
                                   {"memory.memsw.limit_in_bytes", "268435456"},
                                   {"pids.max", "64"}});
  CHECK(cgroup_settings({Version::v1, "/c", {Controller::cpu}}, {}).back() ==
        CgroupSetting{"cpu.cfs_quota_us", "-1"});
}

TEST_CASE_FIXTURE(Fixture, "a host's controllers are found in both versions, each once") {
  write("unified/cgroup.controllers", "memory hugetlb\n");
  const Cgroups cgroups = detect(
      "proc /proc proc rw 0 0\n"
      "cgroup DIR/cpu cgroup rw,relatime,cpu,cpuacct 0 0\n"
      "cgroup DIR/freezer cgroup rw,freezer 0 0\n"
      "cgroup2 DIR/unified cgroup2 rw 0 0\n");
  CHECK(cgroups.hierarchies() ==
        std::vector<CgroupHierarchy>{{Version::v1, place("cpu"), {Controller::cpu}},
                                     {Version::v2, place("unified"), {Controller::memory}}});
  CHECK(cgroups.missing() == std::vector<Controller>{Controller::pids});
}

TEST_CASE_FIXTURE(Fixture, "in version 2 controllers are handed down before a group is limited") {
  write("cgroup.controllers", "cpu memory pids\n");
  for (const char* name :
       {"cgroup.subtree_control", "node/cgroup.subtree_control", "node/vm/cpu.weight",
        "node/vm/cpu.max", "node/vm/memory.max", "node/vm/memory.oom.group", "node/vm/pids.max"}) {
    write(name, "");
  }
  const Cgroups cgroups = detect("cgroup2 DIR cgroup2 rw 0 0\n");
  const auto made = cgroups.create("node/vm", kLimits);
  REQUIRE(made.has_value());
  CHECK(*made == std::vector<std::string>{place("node/vm")});
  CHECK(read("cgroup.subtree_control").starts_with("+pids"));  // the last of three
  CHECK(read("node/cgroup.subtree_control").starts_with("+pids"));
  CHECK(read("node/vm/cpu.max") == "75000 50000");
  CHECK(read("node/vm/memory.max") == "268435456");
}

TEST_CASE_FIXTURE(Fixture, "a limit that can't be set is an error that names file and value") {
  write("cgroup.controllers", "pids\n");
  write("cgroup.subtree_control", "");
  write("node/cgroup.subtree_control", "");
  const auto made = detect("cgroup2 DIR cgroup2 rw 0 0\n").create("node/vm", kLimits);
  REQUIRE(!made.has_value());
  CHECK(made.error().context.find("node/vm/pids.max") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "empty groups go, and their parent after the last") {
  fs::create_directories(place("node/one"));
  write("node/two/busy", "");
  write("cgroup.controllers", "pids\n");
  const Cgroups cgroups = detect("cgroup2 DIR cgroup2 rw 0 0\n");
  cgroups.remove_empty("node");
  CHECK(!fs::exists(place("node/one")));
  CHECK(fs::exists(place("node/two")));
  fs::remove(place("node/two/busy"));
  CHECK(cgroups.remove("node/two").has_value());
  CHECK(cgroups.remove("node/two").has_value());
  cgroups.remove_empty("node");
  CHECK(!fs::exists(place("node")));
}

TEST_CASE_FIXTURE(Fixture, "the processes of a group are those in any hierarchy, each once") {
  write("cgroup.controllers", "pids\n");
  write("node/vm/cgroup.procs", "12\n7\n12\n");
  const Cgroups cgroups = detect("cgroup2 DIR cgroup2 rw 0 0\n");
  CHECK(cgroups.processes("node/vm") == std::vector<pid_t>{7, 12});
  CHECK(cgroups.processes("node/none").empty());
}

TEST_CASE("a group on this host takes its limits and goes again") {
  const auto cgroups = Cgroups::detect();
  if (::geteuid() != 0 || !cgroups || !cgroups->missing().empty()) {
    MESSAGE("skipped: needs root and control groups for cpu, memory and pids");
    return;
  }
  const std::string parent = "perigee-test-" + std::to_string(::getpid());
  const auto made = cgroups->create(parent + "/vm", kLimits);
  INFO((made ? "" : made.error().context));
  REQUIRE(made.has_value());
  CHECK(made->size() == cgroups->hierarchies().size());
  CHECK(cgroups->remove(parent + "/vm").has_value());
  cgroups->remove_empty(parent);
  for (const std::string& directory : *made) CHECK(!fs::exists(fs::path(directory).parent_path()));
}

}  // namespace perigee::sys
