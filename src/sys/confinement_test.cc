// A confined program looks around: what it is, what it sees.
#include "sys/confinement.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
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

TEST_CASE_FIXTURE(Fixture, "a confined program writes where it may, and runs nothing from there") {
  if (!may_confine()) return;
  fs::create_directories(directory + "/own");
  fs::permissions(directory + "/own", fs::perms(0777));
  confinement.writable_directories = {{directory + "/own", "/own"}};
  CHECK(run("echo kept >/own/file; cp /bin/true /own/true; /own/true 2>/dev/null || echo no") ==
        "no\n");
  std::string word;
  std::ifstream(directory + "/own/file") >> word;
  CHECK(word == "kept");
}

TEST_CASE_FIXTURE(Fixture, "a confined program has the host's network where it may") {
  if (!may_confine()) return;
  const auto network = [&] { return run("readlink /proc/self/ns/net"); };
  std::string here = fs::read_symlink("/proc/self/ns/net").string() + "\n";
  CHECK(network() != here);
  confinement.network = Confinement::Network::of_host;
  CHECK(network() == here);
}

async::Task<Result<std::string>> ask(PosixHost& host, Spawn spawn, std::string line) {
  CO_TRY(const auto talk, host.host().processes.converse(std::move(spawn)));
  CO_TRY_VOID(co_await talk->stream().write(line));
  std::string all;
  std::array<char, 256> buffer{};
  for (;;) {
    CO_TRY(const std::size_t n, co_await talk->stream().read(buffer));
    if (n == 0) break;
    all.append(buffer.data(), n);
  }
  co_return all + (co_await talk->wait()).str();
}

TEST_CASE_FIXTURE(Fixture, "a program is talked with, and ends with its conversation") {
  const Spawn echo{.argv = {"/bin/sh", "-c", "read -r word; echo $word; echo oops >&2; exit 3"}};
  CHECK(host->loop().run(ask(*host, echo, "hello\n")) == "hello\noops\nexit code 3");
  std::string root;  // of the program's child, as long as it runs
  {
    const Spawn waiting{.argv = {"/bin/sh", "-c", "sleep 100 & echo $!; wait"}};
    const auto talk = *host->host().processes.converse(waiting);
    std::array<char, 64> buffer{};
    const auto n = host->loop().run(talk->stream().read(buffer));
    REQUIRE(n.has_value());
    root = fmt::format("/proc/{}/root/bin", std::stoi(std::string(buffer.data(), *n)));
    CHECK(fs::exists(root));
  }
  for (int i = 0; i < 500 && fs::exists(root); ++i) ::usleep(10'000);
  CHECK_FALSE(fs::exists(root));
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
