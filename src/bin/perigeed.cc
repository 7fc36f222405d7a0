// perigeed: the server daemon. Plain, it supervises the roles that its configuration names; with a
// role's name it is that role (started by the supervisor, which passes its listeners).
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/version.h"
#include "bin/join_main.h"
#include "bin/lone_router.h"
#include "bin/node_main.h"
#include "bin/reload.h"
#include "bin/role.h"
#include "supervisor/listeners.h"
#include "supervisor/pid_file.h"
#include "sys/core_dumps.h"

namespace perigee::bin {
namespace {

constexpr std::size_t kPoolThreads = 4;

constexpr const char* kHelp =
    R"(perigeed - the Perigee server daemon

usage: perigeed [--config FILE]            supervise the roles of this node
       perigeed --join HOST[:PORT] --token-file FILE --region CODE
                [--name NAME] [--roles worker,router] [--endpoint ADDRESS[:PORT]|none]
                                           join a fleet first, then the same; once it has joined,
                                           plain `perigeed` is enough. FILE -: the token is on
                                           standard input. Or it is in PERIGEE_JOIN_TOKEN, or in
                                           --token TOKEN, where all users of the server see it
       perigeed reload                     have the perigeed that runs become this program, with
                                           its configuration read anew; machines and requests go on
       perigeed down [--keep-machines]     end the node, its machines too unless told otherwise
       perigeed control|worker|router|link be that role (started by the supervisor)
       perigeed router --config FILE       a router alone, without a node around it: it serves what
                                           FILE says (docs/router-alone.md) and reads it anew on
                                           SIGHUP; on SIGUSR2 the program is started anew and takes
                                           over, without a lost request
       perigeed --version | --help

The configuration is /etc/perigee/perigeed.toml; a missing file means all defaults. PERIGEE_ROOT
moves it and all state, sockets and logs under one directory. `perigee up` starts perigeed in the
background; under systemd, run it in the foreground with KillMode=process and Restart=on-failure:
machines survive its restarts. SIGHUP is `reload` with the program that it was started from.
)";

struct Arguments {
  std::string verb;  // "", "down", "reload", a role
  std::string config_file;
  Machines machines = Machines::stop;
  JoinOptions join;  // `control` empty: no
  bool help = false;
  bool version = false;
};

// Where the value of an option goes; null: it has none.
std::string* option(Arguments& arguments, std::string_view word) {
  if (word == "--config") return &arguments.config_file;
  if (word == "--join") return &arguments.join.control;
  if (word == "--token") return &arguments.join.token;
  if (word == "--token-file") return &arguments.join.token_file;
  if (word == "--region") return &arguments.join.region;
  if (word == "--name") return &arguments.join.name;
  if (word == "--roles") return &arguments.join.roles;
  if (word == "--endpoint") return &arguments.join.endpoint;
  return nullptr;
}

Result<Arguments> parse_arguments(const std::vector<std::string>& words,
                                  const config::Paths& paths) {
  Arguments out{.verb = {}, .config_file = paths.config_file, .join = {}};
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--help" || word == "-h")
      out.help = true;
    else if (word == "--version")
      out.version = true;
    else if (word == "--keep-machines")
      out.machines = Machines::keep;
    else if (std::string* value = option(out, word); value != nullptr && i + 1 < words.size())
      *value = words[++i];
    else if (word.starts_with("-") || !out.verb.empty())
      return fail(Code::invalid_argument, "'{}' is not understood (see perigeed --help)", word);
    else
      out.verb = word;
  }
  return out;
}

Result<void> run_role(const std::string& role, const config::Paths& paths,
                      config::NodeConfig node) {
  using Main = Result<void> (*)(RoleContext);
  Main main = nullptr;
  if (role == "control") main = control_main;
  if (role == "worker") main = worker_main;
  if (role == "router") main = router_main;
  if (role == "link") main = link_main;
  if (main == nullptr) {
    return fail(Code::invalid_argument, "'{}' is not a role (see perigeed --help)", role);
  }
  TRY(const auto host, sys::PosixHost::open(kPoolThreads));
  TRY(auto listeners, supervisor::inherited_listeners());
  TRY_VOID(supervisor::write_pid_file(supervisor::pid_path(paths.run, role), ::getpid()));
  return main(RoleContext{*host, paths, std::move(node), std::move(listeners)});
}

Result<void> dispatch(const Arguments& arguments, const config::Paths& paths) {
  // The supervisor makes the key ring, the roles read it.
  TRY_VOID(sys::forbid_core_dumps());
  if (arguments.verb == "router" && !supervisor::started_by_supervisor()) {
    return lone_router_main(arguments.config_file);
  }
  if (!arguments.join.control.empty()) {
    TRY_VOID(join_main(paths, arguments.config_file, arguments.join));
  }
  TRY(config::NodeConfig node, config::load_node_config(arguments.config_file));
  if (arguments.verb.empty()) {
    for (const std::string& warning : node.warnings) log_warning("perigeed", "{}", warning);
    return node_main(paths, node, arguments.config_file);
  }
  if (arguments.verb == "reload") return reload_main(paths);
  if (arguments.verb == "down") {
    return down_main(paths, node, arguments.config_file, arguments.machines);
  }
  return run_role(arguments.verb, paths, std::move(node));
}

int run(const std::vector<std::string>& words) {
  const config::Paths paths = config::paths_from_environment();
  const auto arguments = parse_arguments(words, paths);
  if (arguments && arguments->help) return std::fputs(kHelp, stdout) < 0 ? 1 : 0;
  if (arguments && arguments->version) return std::printf("perigeed %s\n", kVersion) < 0 ? 1 : 0;
  const Result<void> result = arguments ? dispatch(*arguments, paths) : fail(arguments.error());
  if (result) return 0;
  log_error("perigeed", "{}", result.error().context);
  return info(result.error().code).exit_code;
}

}  // namespace
}  // namespace perigee::bin

int main(int argc, char** argv) {
  return perigee::bin::run(std::vector<std::string>(argv + 1, argv + argc));
}
