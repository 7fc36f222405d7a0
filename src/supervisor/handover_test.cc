// Roles that are replaced while they run: started anew, or handed over to a successor. Real
// processes (scripts) and a real listener.
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "supervisor/listeners.h"
#include "supervisor/reload.h"
#include "supervisor/test_fixture.h"

namespace perigee::supervisor {
namespace {

struct Handover : Fixture {
  // A role that says when it serves, unless `unready`, and leaves a file that tells how it ended.
  Config config_of(const std::string& on_start, const std::string& on_handover) const {
    std::ofstream(directory + "/role.py") << R"(
import os, signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGQUIT})
successor = os.environ.get("PERIGEE_READY")
)" << on_start << R"(
if successor: os.write(int(successor), b"+")
if signal.sigwait({signal.SIGTERM, signal.SIGQUIT}) == signal.SIGQUIT:
    open(")" << directory << R"(/handed-over", "w")
    )" << on_handover << R"(
else:
    open(")" << directory << R"(/in-order", "w")
)";
    Config made = config("exec python3 " + directory + "/role.py");
    made.roles[0].drain = 300ms;
    made.stop_timeout = 500ms;
    return made;
  }
  bool exists(const std::string& name) const {
    return std::filesystem::exists(directory + "/" + name);
  }
  static bool is_alive(pid_t pid) { return ::kill(pid, 0) == 0; }
};

constexpr const char* kNothing = "pass";

TEST_CASE_FIXTURE(Handover, "a role hands over, and ends when its successor serves") {
  Supervisor supervisor(*host, config_of(kNothing, kNothing));
  REQUIRE(supervisor.start().has_value());
  async::TaskGroup group(host->loop());
  group.spawn(supervisor.run());
  const pid_t first = role_pid().value();
  REQUIRE(host->loop().run(supervisor.replace_all()).has_value());
  const pid_t second = role_pid().value();
  CHECK(second != first);
  CHECK(copy_listeners_of(second, {"internal"}).has_value());
  CHECK(wait_for([&] { return !is_alive(first) && !exists("role.predecessor.pid"); }));
  CHECK(exists("handed-over"));
  CHECK(role_pid() == second);  // the end of the first is no reason to start a third
  ::kill(second, SIGKILL);
  CHECK(wait_for_new_pid(second) != second);
  host->loop().run(supervisor.stop());
  CHECK_FALSE(role_pid().has_value());
}

TEST_CASE_FIXTURE(Handover, "a successor that does not come to serve changes nothing") {
  Supervisor supervisor(*host, config_of("if successor: sys.exit(1)", kNothing));
  REQUIRE(supervisor.start().has_value());
  async::TaskGroup group(host->loop());
  group.spawn(supervisor.run());
  const pid_t first = role_pid().value();
  const auto replaced = host->loop().run(supervisor.replace_all());
  REQUIRE_FALSE(replaced.has_value());
  CHECK(replaced.error().context.find("role: ") == 0);
  CHECK(role_pid() == first);
  CHECK_FALSE(exists("role.predecessor.pid"));
  CHECK_FALSE(exists("handed-over"));
  host->loop().run(supervisor.stop());
  CHECK(exists("in-order"));
}

TEST_CASE_FIXTURE(Handover, "a predecessor has its time, is the only one, and then is killed") {
  Supervisor supervisor(*host, config_of(kNothing, "time.sleep(60)"));
  REQUIRE(supervisor.start().has_value());
  async::TaskGroup group(host->loop());
  group.spawn(supervisor.run());
  const pid_t first = role_pid().value();
  REQUIRE(host->loop().run(supervisor.replace_all()).has_value());
  CHECK(is_alive(first));
  REQUIRE(host->loop().run(supervisor.replace_all()).has_value());  // waits for its end
  CHECK_FALSE(is_alive(first));
  host->loop().run(supervisor.stop());
}

TEST_CASE_FIXTURE(Handover, "the end of a node is the end of predecessors") {
  Supervisor supervisor(*host, config_of(kNothing, "signal.sigwait({signal.SIGTERM})"));
  REQUIRE(supervisor.start().has_value());
  async::TaskGroup group(host->loop());
  group.spawn(supervisor.run());
  const pid_t first = role_pid().value();
  REQUIRE(host->loop().run(supervisor.replace_all()).has_value());
  host->loop().run(supervisor.stop());
  CHECK_FALSE(is_alive(first));
  CHECK_FALSE(role_pid().has_value());
}

TEST_CASE_FIXTURE(Handover,
                  "a supervisor adopts a role and its predecessor, and tells that again") {
  const Config two = config_of(kNothing, "signal.sigwait({signal.SIGTERM})");
  pid_t first = 0;
  {
    Supervisor before(*host, two);
    REQUIRE(before.start().has_value());
    first = role_pid().value();
    async::TaskGroup group(host->loop());
    group.spawn(before.run());
    REQUIRE(host->loop().run(before.replace_all()).has_value());
  }
  const pid_t second = role_pid().value();
  Supervisor after(*host, two);
  REQUIRE(after.start().has_value());
  CHECK(role_pid() == second);
  CHECK(is_alive(first));
  host->loop().run(after.stop());
  CHECK(wait_for([&] { return !is_alive(first); }));
  CHECK_FALSE(role_pid().has_value());
}

TEST_CASE_FIXTURE(Handover, "a role that does not hand over ends in order and is started anew") {
  Config plain = config_of(kNothing, kNothing);
  plain.roles[0].drain.reset();
  plain.stop_timeout = 10s;
  Supervisor supervisor(*host, plain);
  REQUIRE(supervisor.start().has_value());
  async::TaskGroup group(host->loop());
  group.spawn(supervisor.run());
  const pid_t first = role_pid().value();
  REQUIRE(host->loop().run(supervisor.replace_all()).has_value());
  CHECK(role_pid() != first);
  CHECK(exists("in-order"));
  host->loop().run(supervisor.stop());
}

TEST_CASE_FIXTURE(Fixture, "an order to reload is there once, until it is done") {
  CHECK(ordered_program(directory).empty());
  REQUIRE(order_reload(directory, "/opt/perigee/bin/perigeed").has_value());
  CHECK(ordered_program(directory) == "/opt/perigee/bin/perigeed");
  CHECK(order_reload(directory, "/other").error().code == Code::conflict);
  CHECK_FALSE(reload_result(directory).has_value());
  finish_reload(directory, fail(Code::unavailable, "router: it ended"));
  CHECK(reload_result(directory)->error().context == "router: it ended");
  REQUIRE(order_reload(directory, "/other").has_value());
  finish_reload(directory, {});
  CHECK(reload_result(directory)->has_value());
}

}  // namespace
}  // namespace perigee::supervisor
