// The small pure parts: kernel log lines and the name files.
#include <doctest/doctest.h>

#include "init/names.h"
#include "init/oom.h"

namespace perigee::init {
namespace {

TEST_CASE("the out-of-memory killer's victim is read from its line") {
  CHECK(oom_victim("3,412,88,-;Out of memory: Killed process 57 (app) total-vm:9kB") == 57);
  CHECK(oom_victim("4,1,1,-;Memory cgroup out of memory: Killed process 8 (x)") == 8);
  for (const char* line :
       {"", "Killed process ", "Killed process x (y)", "oom_reaper: reaped 57"}) {
    CHECK(oom_victim(line) == 0);
  }
}

TEST_CASE("hosts and resolv.conf say what the host gave") {
  channel::Configure configure;
  configure.hosts = {"10.0.0.2\tm1"};
  configure.nameservers = {"10.0.0.53", "fdaa::3"};
  CHECK(hosts_file(configure) ==
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.2\tm1\n");
  CHECK(resolver_file(configure) == "nameserver 10.0.0.53\nnameserver fdaa::3\n");
}

}  // namespace
}  // namespace perigee::init
