// What the command line says, as a value. options.cc and its parts
// (option_parts.h) alone see the parser's library.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/fleet_options.h"
#include "cli/lab_options.h"
#include "cli/store_options.h"

namespace perigee::cli {

enum class Verb {
  up,
  down,
  doctor,
  launch,
  deploy,
  status,
  logs,
  destroy,
  apps_list,
  nodes_token,
  nodes_tokens,
  nodes_revoke,
  explain,
  config_show,
  config_validate,
  egress_show,
  egress_set,
  ips_list,
  ips_allocate_v4,
  ips_allocate_v6,
  ips_release,
  certs_list,
  certs_show,
  certs_add,
  certs_import,
  certs_check,
  certs_remove,
  machine_list,
  machine_status,
  machine_wait,
  machine_start,
  machine_stop,
  machine_restart,
  machine_suspend,
  machine_cordon,
  machine_uncordon,
  machine_destroy,
  machine_run,
  machine_clone,
  machine_update,
  machine_lease_list,
  machine_lease_clear,
  machine_metadata_list,
  machine_metadata_set,
  machine_metadata_unset,
  machine_exec,
  machine_kill,
  machine_ps,
  machine_console_log,
  console,
  volumes_list,
  volumes_show,
  volumes_create,
  volumes_extend,
  volumes_destroy,
  snapshots_list,
  snapshots_create,
  snapshots_destroy,
  secrets_set,
  secrets_import,
  secrets_list,
  secrets_unset,
  secrets_deploy,
  secrets_rotate_key,
  registry_login,
  registry_logout,
  registry_list,
  checks_list,
  regions_list,
  regions_set,
  regions_add,
  regions_remove,
  scale_show,
  scale_count,
  nodes_list,
  nodes_show,
  nodes_cordon,
  nodes_uncordon,
  nodes_drain,
  nodes_rotate_keys,
  nodes_remove,
  lab_up,
  lab_down,
  lab_status,
  lab_cut,
  lab_heal,
  lab_degrade,
  lab_capture,
  lab_curl,
  lab_exec,
  lab_latency,
  lab_load,
  lab_wan,
  store_backup,
  store_restore,
  store_migrate,
  version,
};

// Of the commands below `perigee machine`.
struct MachineOptions {
  std::string signal;                   // stop, restart; empty: as configured
  std::string kill_signal = "SIGKILL";  // kill
  std::string timeout;                  // stop, restart, wait: a duration
  bool force = false;                   // restart, destroy
  std::string state = "started";        // wait
  std::vector<std::string> env;         // run, update: NAME=VALUE
  std::vector<std::string> metadata;    // run, update, metadata set: NAME=VALUE; unset: NAME
  std::string schedule;                 // run, update
  std::string restart;                  // run, update: the policy
  int memory_mib = 0;                   // run, update; 0: as it is
  bool remove = false;                  // run: destroyed when it has ended
  bool skip_launch = false;             // run, clone, update
};

struct CertificateOptions {
  std::string host;              // certs …
  std::string fullchain_file;    // certs import
  std::string private_key_file;  // certs import
};

struct Options {
  Verb verb = Verb::version;
  // everywhere
  bool json = false;
  std::string app;
  std::string config = "perigee.toml";
  std::string api_url;
  std::string token;
  // some
  bool self_test = false;      // doctor
  bool detach = false;         // deploy, secrets …, certs add
  bool stage = false;          // secrets set, import, unset
  bool yes = false;            // destroy, volumes destroy
  bool no_deploy = false;      // launch
  bool no_tail = false;        // logs
  bool keep_machines = false;  // down
  int lines = 100;             // logs
  std::string search;          // logs
  std::string stream;          // logs
  std::string since;           // logs
  int count = 0;               // deploy; 0: as it is
  std::string image;           // deploy, launch, machine run, update
  std::string dockerfile;      // deploy
  std::string target;          // deploy
  std::vector<std::string> build_args;
  std::string region;
  std::string machine;               // logs, console, machine …
  MachineOptions on_machine;         // machine …
  std::vector<std::string> command;  // console, machine exec: words behind --
  std::string command_line;          // console -C: the same as one text
  std::string user;                  // console, machine exec; empty: the app's
  bool tty = false;                  // machine exec
  std::string name;                  // launch, volumes create, machine run, clone
  std::string volume;                // volumes …
  std::string snapshot;              // volumes create, snapshots destroy
  int size_gib = 0;                  // volumes create, extend
  std::optional<bool> encrypted;     // volumes create
  int size_mib = 0;                  // the same, instead
  std::string egress_policy;         // egress set
  std::vector<std::string> egress_allow;
  std::string address;             // ips release
  int internal_port = 0;           // launch; 0: from EXPOSE
  std::vector<std::string> names;  // secrets set: NAME=VALUE; unset: NAME
  std::string registry;            // registry login, logout
  std::string username;            // registry login
  bool password_stdin = false;     // likewise
  CertificateOptions certificate;
  LabOptions lab;
  StoreOptions store;
  FleetOptions fleet;
  std::string token_ttl = "1h";  // nodes token
  int token_uses = 1;            // nodes token
  bool token_control = false;    // nodes token
  std::string explain_from;      // explain
  std::string explain_what;      // explain: a request's id, or a URL
  std::string token_id;          // nodes revoke
};

// Options, or the exit code of a run that is over (help was printed, the arguments were wrong).
std::variant<Options, int> parse_options(int argc, char** argv);

}  // namespace perigee::cli
