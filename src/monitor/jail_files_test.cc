// Jails on a real disk. Giving files away needs root: without it the VMM's user is ours.
#include "monitor/jail_files.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

using namespace perigee;
using namespace perigee::monitor;

namespace {

namespace fs = std::filesystem;

constexpr uid_t kSomebody = 54321;

// A VM's directory that we are in, and a jail in it.
class Jailed {
 public:
  Jailed() : before_(fs::current_path()) {
    std::string name = (fs::temp_directory_path() / "perigee-jail-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory_ = name;
    fs::current_path(directory_);
    std::ofstream("layer") << "layer";
    std::ofstream("upper") << "upper";
    plan.base = "jail";
    plan.root = "jail/firecracker/m1/root";
    plan.folders = {"/save"};
    plan.pipes = {"/console"};
    plan.files = {{"layer", "/disk0", vm::JailFile::Use::shared},
                  {"upper", "/disk1", vm::JailFile::Use::owned}};
    if (::geteuid() == 0) user = {kSomebody, kSomebody};
  }
  ~Jailed() {
    fs::current_path(before_);
    fs::remove_all(directory_);
  }
  Jailed(const Jailed&) = delete;
  Jailed& operator=(const Jailed&) = delete;

  struct stat status(std::string_view path) const {
    struct stat found{};
    REQUIRE(::lstat(vm::in_jail(plan, path).c_str(), &found) == 0);
    return found;
  }
  // As the VMM does.
  void save(std::string_view path) const {
    const std::string name = vm::in_jail(plan, path);
    std::ofstream(name) << "memory";
    REQUIRE(::chown(name.c_str(), user.uid, user.gid) == 0);
  }

  vm::JailPlan plan;
  vm::JailUser user{::geteuid(), ::getegid()};

 private:
  fs::path before_;
  fs::path directory_;
};

}  // namespace

TEST_CASE("a jail shares what is shared and gives away what is the VM's") {
  const Jailed jail;
  REQUIRE(lay_out_jail(jail.plan, jail.user).has_value());
  CHECK(jail.status("/disk0").st_uid == ::geteuid());
  CHECK(jail.status("/disk0").st_nlink == 2);
  CHECK(jail.status("/disk1").st_uid == jail.user.uid);
  CHECK(jail.status("/save").st_uid == jail.user.uid);
  CHECK(S_ISFIFO(jail.status("/console").st_mode));
  CHECK(jail_entry(jail.plan, "/console", JailEntryKind::pipe).has_value());
}

TEST_CASE("a jail that was used is laid out anew, and removed without a trace") {
  const Jailed jail;
  REQUIRE(lay_out_jail(jail.plan, jail.user).has_value());
  std::ofstream(vm::in_jail(jail.plan, "/firecracker.pid")) << "1";
  REQUIRE(lay_out_jail(jail.plan, jail.user).has_value());
  CHECK(!fs::exists(vm::in_jail(jail.plan, "/firecracker.pid")));
  remove_jail(jail.plan);
  CHECK(!fs::exists("jail"));
  CHECK(fs::exists("layer"));
}

TEST_CASE("a missing disk is named") {
  Jailed jail;
  jail.plan.files.push_back({"nowhere", "/disk2", vm::JailFile::Use::shared});
  const auto laid = lay_out_jail(jail.plan, jail.user);
  REQUIRE(!laid.has_value());
  CHECK(laid.error().context.find("nowhere") != std::string::npos);
}

TEST_CASE("what the VMM has saved is taken into the VM's directory") {
  const Jailed jail;
  REQUIRE(lay_out_jail(jail.plan, jail.user).has_value());
  jail.save("/save/ram");
  std::ofstream("ram") << "of the last time";
  REQUIRE(take_from_jail(jail.plan, "/save/ram", "ram", jail.user).has_value());
  std::ifstream file("ram");
  CHECK(std::string{std::istreambuf_iterator<char>(file), {}} == "memory");
}

TEST_CASE("a VMM that has been taken over leads nobody out of its jail") {
  const Jailed jail;
  REQUIRE(lay_out_jail(jail.plan, jail.user).has_value());
  const std::string saved = vm::in_jail(jail.plan, "/save/ram");
  SUBCASE("by a symbolic link") {
    fs::create_symlink("/etc/passwd", saved);
  }
  SUBCASE("by another name of a shared file") {
    fs::create_hard_link(vm::in_jail(jail.plan, "/disk0"), saved);
  }
  SUBCASE("by a folder that is a link") {
    fs::remove(vm::in_jail(jail.plan, "/save"));
    fs::create_directory("elsewhere");
    fs::create_directory_symlink(fs::absolute("elsewhere"), vm::in_jail(jail.plan, "/save"));
    std::ofstream("elsewhere/ram") << "x";
  }
  CHECK(!take_from_jail(jail.plan, "/save/ram", "ram", jail.user).has_value());
  CHECK(!fs::exists("ram"));
}

TEST_CASE("a link in the place of a socket or the console is not followed") {
  const Jailed jail;
  REQUIRE(lay_out_jail(jail.plan, jail.user).has_value());
  fs::remove(vm::in_jail(jail.plan, "/console"));
  fs::create_symlink("/dev/log", vm::in_jail(jail.plan, "/console"));
  CHECK(!jail_entry(jail.plan, "/console", JailEntryKind::pipe).has_value());
  CHECK(!jail_entry(jail.plan, "/disk0", JailEntryKind::socket).has_value());
}
