// `perigee lab down` with a real process in a real control group.
#include "lab/teardown.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "async/task_group.h"
#include "config/paths.h"
#include "sys/cgroup.h"
#include "sys/posix_host.h"
#include "vm/names.h"

namespace perigee::lab {
namespace {

namespace fs = std::filesystem;

// A lab's folder with one node's in it.
std::string make_lab() {
  std::string directory = fs::temp_directory_path() / "perigee-lab-XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  fs::create_directories(directory + "/fra");
  std::ofstream(directory + "/lab.json") << "{}";
  return directory;
}

async::Task<void> reap(sys::Process& process) {
  co_await process.wait();
}

}  // namespace

TEST_CASE("down waits until the last process has left the control groups (issue 4)") {
  const auto cgroups = sys::Cgroups::detect();
  if (::geteuid() != 0 || !cgroups || !cgroups->missing().empty()) {
    MESSAGE("skipped: needs root and control groups for cpu, memory and pids");
    return;
  }
  const auto host = sys::PosixHost::open(1).value();
  const std::string directory = make_lab();
  const std::string state = config::paths_under(directory + "/fra", "").state;
  const auto groups = cgroups->create(vm::node_cgroup(state) + "/vm", {.max_processes = 8}).value();
  // It bears no mark and is in no namespace of the lab, as one that is ending.
  const auto process = host->host().processes.spawn({.argv = {"sleep", "1"}}).value();
  for (const std::string& group : groups) {
    std::ofstream(group + "/cgroup.procs") << process->pid() << std::flush;
  }
  REQUIRE(find_remains(directory).cgroups.size() == groups.size());

  async::TaskGroup tasks(host->loop());
  tasks.spawn(reap(*process));
  const auto done = host->loop().run(remove_lab(host->host(), directory));
  INFO((done ? "" : done.error().context));
  CHECK(done.has_value());
  CHECK(find_remains(directory).empty());
  CHECK(!fs::exists(directory));
}

}  // namespace perigee::lab
