// The supervisor with real processes (shells that sleep) and real listeners.
#include "supervisor/supervisor.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "supervisor/listeners.h"
#include "supervisor/test_fixture.h"

namespace perigee::supervisor {
namespace {

TEST_CASE_FIXTURE(Fixture, "a role that is killed is started again with the same listener") {
  Supervisor supervisor(*host, config());
  REQUIRE(supervisor.start().has_value());
  async::TaskGroup group(host->loop());
  group.spawn(supervisor.run());
  const pid_t first = role_pid().value();
  ::kill(first, SIGKILL);
  const pid_t second = wait_for_new_pid(first);
  CHECK(second != first);
  CHECK(copy_listeners_of(second, {"internal"}).has_value());
  host->loop().run(supervisor.stop());
  CHECK_FALSE(role_pid().has_value());
  CHECK_FALSE(std::filesystem::exists(directory + "/role.sock"));
}

TEST_CASE_FIXTURE(Fixture, "a second supervisor adopts what the first one left running") {
  pid_t pid = 0;
  {
    Supervisor first(*host, config());
    REQUIRE(first.start().has_value());
    pid = role_pid().value();
  }
  Supervisor second(*host, config());
  REQUIRE(second.start().has_value());
  CHECK(role_pid() == pid);
  async::TaskGroup group(host->loop());
  group.spawn(second.run());
  ::kill(pid, SIGKILL);
  const pid_t next = wait_for_new_pid(pid);
  CHECK(next != pid);
  host->loop().run(second.stop());
}

TEST_CASE_FIXTURE(Fixture, "a role whose supervisor was killed in starting it is waited for") {
  pid_t pid = 0;
  {
    Supervisor first(*host, config());
    REQUIRE(first.start().has_value());
    pid = role_pid().value();
  }
  std::filesystem::remove(directory + "/role.pid");
  std::ofstream(directory + "/role.starting") << "1 1";
  std::thread role([&] {
    std::this_thread::sleep_for(200ms);
    CHECK(write_pid_file(pid_path(directory, "role"), pid).has_value());
  });
  Supervisor second(*host, config());
  const auto started = second.start();
  role.join();
  REQUIRE(started.has_value());
  CHECK(role_pid() == pid);
  CHECK_FALSE(std::filesystem::exists(directory + "/role.starting"));
  host->loop().run(second.stop());
}

TEST_CASE_FIXTURE(Fixture, "two supervisors at once are refused") {
  Supervisor first(*host, config());
  REQUIRE(first.start().has_value());
  Supervisor second(*host, config());
  const auto refused = second.start();
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().context.find(std::to_string(::getpid())) != std::string::npos);
  host->loop().run(first.stop());
}

TEST_CASE_FIXTURE(Fixture, "a role that is told to end while it starts ends in order") {
  Supervisor supervisor(*host, config());
  REQUIRE(supervisor.start().has_value());
  host->loop().run(supervisor.stop());
  CHECK(std::filesystem::exists(directory + "/in-order"));
}

TEST_CASE_FIXTURE(Fixture, "a role that died before the end is started to end in order") {
  Supervisor supervisor(*host, config());
  REQUIRE(supervisor.start().has_value());
  ::kill(role_pid().value(), SIGKILL);
  for (int i = 0; i < 500 && role_pid(); ++i) host->loop().run(pause(10ms));
  host->loop().run(supervisor.stop());
  CHECK(std::filesystem::exists(directory + "/in-order"));
  CHECK_FALSE(role_pid().has_value());
}

TEST_CASE_FIXTURE(Fixture, "a role that ignores SIGTERM is killed") {
  Config stubborn =
      config("trap '' TERM; touch " + directory + "/ready; while :; do sleep 0.05; done");
  stubborn.stop_timeout = 300ms;
  Supervisor supervisor(*host, stubborn);
  REQUIRE(supervisor.start().has_value());
  for (int i = 0; i < 500 && !std::filesystem::exists(directory + "/ready"); ++i) {
    host->loop().run(pause(10ms));
  }
  host->loop().run(supervisor.stop());
  CHECK_FALSE(role_pid().has_value());
}

TEST_CASE_FIXTURE(Fixture, "a socket of UDP travels as a listener does, and is adopted with it") {
  Config two = config();
  two.roles[0].listeners.push_back({.name = "udp",
                                    .address = *sys::Address::parse("127.0.0.1:0"),
                                    .carries = Carries::datagrams});
  Supervisor supervisor(*host, two);
  REQUIRE(supervisor.start().has_value());
  CHECK(copy_listeners_of(role_pid().value(), {"internal", "udp"}).has_value());
  CHECK_FALSE(copy_listeners_of(role_pid().value(), {"internal"}).has_value());
  host->loop().run(supervisor.stop());
}

TEST_CASE("listeners travel as text") {
  const std::vector<NamedDescriptor> named{{"api", 3}, {"internal", 4}};
  CHECK(format_listeners(named) == "api=3,internal=4");
  CHECK(parse_listeners("api=3,internal=4").value() == named);
  CHECK(parse_listeners("").value().empty());
  for (const char* bad : {"api", "api=", "=3", "api=x", "api=3,,b=4", "api=99999"}) {
    CHECK_FALSE(parse_listeners(bad).has_value());
  }
}

TEST_CASE_FIXTURE(Fixture, "a pid file of a process that ended is not live") {
  const std::string path = directory + "/x.pid";
  REQUIRE(write_pid_file(path, ::getpid()).has_value());
  CHECK(read_live_pid(path) == ::getpid());
  std::ofstream(path) << ::getpid() << " 1\n";  // same number, another start time
  CHECK_FALSE(read_live_pid(path).has_value());
  std::ofstream(path) << "garbage";
  CHECK_FALSE(read_live_pid(path).has_value());
}

}  // namespace
}  // namespace perigee::supervisor
