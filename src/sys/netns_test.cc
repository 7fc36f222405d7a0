#include "sys/netns.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "sys/procfs.h"

namespace perigee::sys {
namespace {

std::string own_namespace() {
  return std::filesystem::read_symlink("/proc/thread-self/ns/net").string();
}

// A named network namespace while this lives.
class NamedNamespace {
 public:
  explicit NamedNamespace(std::string name) : path_(network_namespace_path(name)) {
    std::filesystem::create_directories("/run/netns");
    std::thread maker([this] {
      const Fd file(::open(path_.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
      made_ = ::unshare(CLONE_NEWNET) == 0 &&
              ::mount("/proc/thread-self/ns/net", path_.c_str(), "none", MS_BIND, nullptr) == 0;
    });
    maker.join();
  }
  ~NamedNamespace() {
    ::umount2(path_.c_str(), MNT_DETACH);
    ::unlink(path_.c_str());
  }
  NamedNamespace(const NamedNamespace&) = delete;
  NamedNamespace& operator=(const NamedNamespace&) = delete;
  bool made() const { return made_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool made_ = false;
};

bool holds(const std::vector<pid_t>& pids, pid_t pid) {
  return std::ranges::find(pids, pid) != pids.end();
}

}  // namespace

TEST_CASE("a thread visits a network namespace, and is back at the end of the scope") {
  const std::string name = fmt::format("pg-test-{}", ::getpid());
  const NamedNamespace there(name);
  if (!there.made()) {
    MESSAGE("SKIPPED: no network namespace can be made here (needs root)");
    return;
  }
  const std::string home = own_namespace();
  {
    const auto visit = NetworkNamespaceVisit::enter(name);
    REQUIRE(visit.has_value());
    CHECK(own_namespace() != home);
  }
  CHECK(own_namespace() == home);
  const auto nowhere = NetworkNamespaceVisit::enter("pg-test-none");
  REQUIRE_FALSE(nowhere.has_value());
  CHECK(nowhere.error().code == Code::not_found);
}

TEST_CASE("processes are found by their environment and by their network namespace") {
  const std::string name = fmt::format("pg-test-{}", ::getpid());
  const NamedNamespace there(name);
  if (!there.made()) {
    MESSAGE("SKIPPED: no network namespace can be made here (needs root)");
    return;
  }
  const std::string mark = fmt::format("PG_TEST_MARK={}", ::getpid());
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (!join_network_namespace(name)) ::_exit(1);
    const char* const environment[] = {mark.c_str(), nullptr};
    ::execle("/bin/sleep", "sleep", "60", nullptr, environment);
    ::_exit(1);
  }
  bool found = false;
  for (int i = 0; i < 200 && !found; ++i) {
    found = holds(processes_with_environment(mark), child);
    if (!found) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(found);
  CHECK(holds(processes_in_network_namespace(there.path()), child));
  CHECK_FALSE(holds(processes_in_network_namespace("/proc/self/ns/net"), child));
  CHECK_FALSE(holds(processes_with_environment(mark + "0"), child));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(processes_with_environment(mark).empty());
}

}  // namespace perigee::sys
