// A confined program looks around: what it is, what it sees.
#include "sys/confinement.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sys/posix_host.h"

namespace perigee::sys {
namespace {

namespace fs = std::filesystem;

struct Fixture {
  Fixture() : host(*PosixHost::open(2)) {
    std::string pattern = "/tmp/perigee-confined-XXXXXX";
    directory = ::mkdtemp(pattern.data());
    fs::create_directories(directory + "/root");
    fs::create_directories(directory + "/shared");
    std::ofstream(directory + "/shared/file") << "shared\n";
    fs::permissions(directory + "/shared", fs::perms(0755));
    confinement = {.uid = 0x70000001, .gid = 0x70000001, .root = directory + "/root"};
    confinement.directories = {{directory + "/shared", "/shared"}};
    confinement.devices = {"/dev/null", "/dev/no-such-device"};
    confinement.working_directory = "/shared";
  }
  ~Fixture() { fs::remove_all(directory); }

  // What `script` prints, confined.
  std::string run(const std::string& script) {
    const Spawn spawn{.argv = {"/bin/sh", "-c", script}, .confinement = confinement};
    const Deadline deadline = host->loop().deadline_in(20s);
    const auto done = host->loop().run(host->host().processes.run(spawn, "", deadline));
    if (!done) return done.error().context;
    return done->out + done->err;
  }

  std::unique_ptr<PosixHost> host;
  std::string directory;
  Confinement confinement;
};

bool may_confine() {
  if (::geteuid() == 0) return true;
  MESSAGE("skipped: needs root");
  return false;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a confined program is a user without capabilities, now and later") {
  if (!may_confine()) return;
  const std::string status =
      run("while read name a b; do case $name in Uid:|CapPrm:|CapEff:|CapBnd:|NoNewPrivs:|Groups:) "
          "echo $name $a;; esac; done </proc/self/status; ulimit -c; umask");
  CHECK(status ==
        "Uid: 1879048193\nGroups:\nCapPrm: 0000000000000000\nCapEff: 0000000000000000\n"
        "CapBnd: 0000000000000000\nNoNewPrivs: 1\n0\n0077\n");
}

TEST_CASE_FIXTURE(Fixture, "a confined program sees its own root, processes and network alone") {
  if (!may_confine()) return;
  CHECK(run("echo $$; pwd; cat file; echo /etc /home /var /dev/*") ==
        "1\n/shared\nshared\n/etc /home /var /dev/null\n");
  CHECK(run("echo /proc/[0-9]*") == "/proc/1\n");
  CHECK(run("cat /proc/net/dev | grep -c :") == "1\n");  // lo
  CHECK(run("echo x >/shared/file") != "");
  CHECK(run("echo x >/file") != "");
  CHECK(run("echo x >/dev/null") == "");
  CHECK(run("ls /etc 2>&1 >/dev/null | grep -c 'No such file'") == "1\n");
  CHECK(fs::is_empty(directory + "/root"));  // mounted for the program alone
}

TEST_CASE_FIXTURE(Fixture, "what keeps a program from being confined is named") {
  if (!may_confine()) return;
  confinement.cgroups = {directory + "/no-such-group"};
  CHECK(run("true").find("start /bin/sh: open its control group: No such file") !=
        std::string::npos);
  confinement.uid = 0;
  CHECK(run("true").find("can't run as root") != std::string::npos);
}

}  // namespace perigee::sys
