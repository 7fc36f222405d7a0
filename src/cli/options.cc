#include "cli/options.h"

#include <CLI/CLI.hpp>

#include "cli/option_parts.h"

namespace perigee::cli {
namespace {

constexpr int kUsageExit = 2;

void add_node_commands(CLI::App& app, Options& o, Verbs& verbs) {
  command(app, verbs, Verb::up, "up",
          "Start this server's node (needs root) and point the command line at it",
          "  sudo perigee up\n  sudo PERIGEE_ROOT=/srv/second perigee up");
  CLI::App* down = command(app, verbs, Verb::down, "down",
                           "Stop this server's node: its machines, then its daemons",
                           "  sudo perigee down\n  sudo perigee down --keep-machines");
  down->add_flag("--keep-machines", o.keep_machines, "Leave the microVMs running");
  CLI::App* doctor =
      command(app, verbs, Verb::doctor, "doctor",
              "Check that this server can run microVMs, and say what to do where it can't",
              "  perigee doctor\n  sudo perigee doctor --self-test\n  perigee doctor --json");
  doctor->add_flag("--self-test", o.self_test,
                   "Boot a microVM with each of Firecracker, QEMU with KVM, and QEMU alone");
}

void add_image_options(CLI::App& sub, Options& o) {
  sub.add_option("-i,--image", o.image,
                 "A registry reference, or the path of a docker-save or OCI archive")
      ->type_name("REF|PATH");
}

void add_deploy_commands(CLI::App& app, Options& o, Verbs& verbs) {
  CLI::App* launch = command(app, verbs, Verb::launch, "launch",
                             "Write a perigee.toml for this directory, create the app, deploy it",
                             "  perigee launch\n  perigee launch --name web --no-deploy\n"
                             "  perigee launch --image registry.example/web:1 --internal-port 80");
  launch->add_option("--name", o.name, "The app's name (default: the directory's)");
  launch->add_option("--region", o.region, "Its primary region, such as iad");
  launch
      ->add_option("--internal-port", o.internal_port,
                   "Where the app listens (default: the Dockerfile's EXPOSE, else 8080)")
      ->check(CLI::Range(1, 65535));
  launch->add_flag("--no-deploy", o.no_deploy, "Only write the file and create the app");
  add_image_options(*launch, o);

  CLI::App* deploy =
      command(app, verbs, Verb::deploy, "deploy",
              "Deploy the app of this directory: build or fetch its image, start it in "
              "microVMs, move traffic over",
              "  perigee deploy\n  perigee deploy --image nginx.tar -a web\n"
              "  perigee deploy --build-arg VERSION=2 --detach");
  add_image_options(*deploy, o);
  deploy->add_option("--dockerfile", o.dockerfile, "Build this Dockerfile");
  deploy->add_option("--build-arg", o.build_args, "NAME=VALUE for the build; may repeat");
  deploy->add_option("--build-target", o.target, "Stage of the Dockerfile to build");
  deploy->add_option("--count", o.count, "How many machines (default: as many as now, at first 1)")
      ->check(CLI::Range(1, 256));
  deploy->add_option("--region", o.region, "Where to place them");
  deploy->add_flag("--detach", o.detach, "Don't wait: the deploy goes on on the server");
}

void add_app_commands(CLI::App& app, Options& o, Verbs& verbs) {
  command(app, verbs, Verb::status, "status", "Show an app, its release and its machines",
          "  perigee status -a hello\n  perigee status --json");
  CLI::App* logs =
      command(app, verbs, Verb::logs, "logs", "Print what an app's machines write, and follow it",
              "  perigee logs -a hello\n  perigee logs --no-tail --lines 500\n"
              "  perigee logs --search 'GET /login' --stream stdout --since 10m");
  logs->add_flag("-n,--no-tail", o.no_tail, "Print what there is and end");
  logs->add_option("--lines", o.lines, "How many past lines of each machine (default: 100)")
      ->check(CLI::Range(0, 10000));
  logs->add_option("--machine", o.machine, "Only this machine");
  logs->add_option("--region", o.region, "Only machines of this region");
  logs->add_option("--search", o.search, "Only lines that hold this text");
  logs->add_option("--stream", o.stream, "Only this stream")
      ->check(CLI::IsMember({"stdout", "stderr", "system"}));
  logs->add_option("--since", o.since, "Only what is no older, such as 10m");
  CLI::App* destroy = command(app, verbs, Verb::destroy, "destroy",
                              "End an app: its machines, releases and certificates",
                              "  perigee destroy hello\n  perigee destroy hello --yes");
  destroy->add_option("APP", o.app, "The app's name");
  destroy->add_flag("-y,--yes", o.yes, "Don't ask");
  CLI::App* apps = app.add_subcommand("apps", "Apps of this fleet");
  apps->require_subcommand(1);
  command(*apps, verbs, Verb::apps_list, "list", "List all apps", "");
  CLI::App* config = app.add_subcommand("config", "An app's configuration");
  config->require_subcommand(1);
  command(*config, verbs, Verb::config_show, "show",
          "Print what the server has, as JSON: the current release's machines, the egress policy",
          "  perigee config show -a hello");
  command(*config, verbs, Verb::config_validate, "validate",
          "Read perigee.toml as a deploy would, without asking a server",
          "  perigee config validate\n  perigee config validate -c fly.toml --json");
}

void add_ip_commands(CLI::App& app, Options& o, Verbs& verbs) {
  CLI::App* ips = app.add_subcommand("ips", "Addresses that are one app's alone, on every port");
  ips->require_subcommand(1);
  command(*ips, verbs, Verb::ips_list, "list",
          "List an app's addresses, and its ports at the nodes' addresses", "");
  command(*ips, verbs, Verb::ips_allocate_v4, "allocate-v4",
          "Give an app an IPv4 address of the fleet's networks", "  perigee ips allocate-v4 -a db");
  command(*ips, verbs, Verb::ips_allocate_v6, "allocate-v6",
          "Give an app an IPv6 address of the fleet's networks", "");
  CLI::App* release = command(*ips, verbs, Verb::ips_release, "release", "Give an address back",
                              "  perigee ips release 203.0.113.7 -a db");
  release->add_option("ADDRESS", o.address, "As `perigee ips list` shows it")->required();
}

void add_cert_commands(CLI::App& app, Options& o, Verbs& verbs) {
  CLI::App* certs = app.add_subcommand("certs", "An app's own host names and their certificates");
  certs->require_subcommand(1);
  const auto of_host = [&](Verb verb, const char* name, const char* words, const char* examples) {
    CLI::App* sub = command(*certs, verbs, verb, name, words, examples);
    sub->add_option("HOST", o.certificate.host, "Such as www.example.com, or *.example.com")
        ->required();
    return sub;
  };
  command(*certs, verbs, Verb::certs_list, "list", "List an app's hosts: state, expiry, last error",
          "");
  CLI::App* add = of_host(Verb::certs_add, "add",
                          "Give an app a host; its certificate is got by ACME, and renewed",
                          "  perigee certs add www.example.com -a shop");
  add->add_flag("--detach", o.detach, "Don't wait: the order goes on on the server");
  CLI::App* import = of_host(Verb::certs_import, "import",
                             "Give an app a host with a certificate of your own (again: another)",
                             "  perigee certs import '*.example.com' --fullchain fullchain.pem "
                             "--private-key privkey.pem -a shop");
  import->add_option("--fullchain", o.certificate.fullchain_file, "PEM: the leaf, then its issuers")
      ->required();
  import->add_option("--private-key", o.certificate.private_key_file, "PEM, without a passphrase")
      ->required();
  of_host(Verb::certs_show, "show", "Show a host, its certificates and the DNS records it needs",
          "");
  of_host(Verb::certs_check, "check",
          "Look whether DNS leads here, and have a failed order placed again soon", "");
  of_host(Verb::certs_remove, "remove", "Take a host and its certificates from an app", "");
}

void add_explain_command(CLI::App& app, Options& o, Verbs& verbs) {
  CLI::App* explain = command(app, verbs, Verb::explain, "explain",
                              "Say why a request went to its machine, or where one would go now",
                              "  perigee explain 9f31c0a2b1d4e5f600000007 -a hello\n"
                              "  perigee explain --from syd https://hello.example.org/");
  explain->add_option("REQUEST_ID|URL", o.explain_what,
                      "The perigee-request-id of an answer; with --from a URL of the app");
  explain->add_option("--from", o.explain_from, "A region with a router, or a node");
}

void add_egress_commands(CLI::App& app, Options& o, Verbs& verbs) {
  CLI::App* egress = app.add_subcommand("egress", "Where an app's machines may connect to");
  egress->require_subcommand(1);
  command(*egress, verbs, Verb::egress_show, "show", "Show an app's policy", "");
  CLI::App* set = command(*egress, verbs, Verb::egress_set, "set",
                          "Set an app's policy; it holds at once, for machines that run too",
                          "  perigee egress set closed -a vault\n"
                          "  perigee egress set list --allow 203.0.113.0/24:443 -a web");
  set->add_option("POLICY", o.egress_policy,
                  "internet (the default), closed, or list: only what --allow names")
      ->required()
      ->check(CLI::IsMember({"internet", "closed", "list"}));
  set->add_option("--allow", o.egress_allow, "NETWORK[:PORT[-PORT]]; may repeat");
}

void add_check_commands(CLI::App& app, Verbs& verbs) {
  CLI::App* checks = app.add_subcommand("checks", "Health checks of an app");
  checks->require_subcommand(1);
  command(*checks, verbs, Verb::checks_list, "list",
          "List the checks of an app's machines, with what they said last",
          "  perigee checks list -a hello\n  perigee checks list --json");
}

CLI::App* machine_command(CLI::App& machine, Options& o, Verbs& verbs, Verb verb,
                          const std::string& name, const std::string& what,
                          const std::string& examples = {}) {
  CLI::App* sub = command(machine, verbs, verb, name, what, examples);
  sub->add_option("ID", o.machine, "The machine's id")->required();
  return sub;
}

void add_stop_options(CLI::App& sub, MachineOptions& o) {
  sub.add_option("--signal", o.signal, "What asks the app to stop (default: as configured)");
  sub.add_option("--timeout", o.timeout, "How long it has before it is killed, such as 30s");
}

void add_orders(CLI::App& machine, Options& o, Verbs& verbs) {
  machine_command(machine, o, verbs, Verb::machine_start, "start",
                  "Start a stopped machine, or resume a suspended one");
  CLI::App* stop = machine_command(machine, o, verbs, Verb::machine_stop, "stop",
                                   "Stop a machine (a request starts it again, unless "
                                   "auto_start_machines is off)",
                                   "  perigee machine stop 148e1234567890 --signal SIGTERM");
  add_stop_options(*stop, o.on_machine);
  CLI::App* restart = machine_command(machine, o, verbs, Verb::machine_restart, "restart",
                                      "Stop and start a machine, with a fresh root disk");
  add_stop_options(*restart, o.on_machine);
  restart->add_flag("--force-stop", o.on_machine.force, "Kill what runs at once");
  machine_command(machine, o, verbs, Verb::machine_suspend, "suspend",
                  "Save a machine to disk with its memory; start goes on from there");
  machine_command(machine, o, verbs, Verb::machine_cordon, "cordon",
                  "Send a machine no new requests");
  machine_command(machine, o, verbs, Verb::machine_uncordon, "uncordon",
                  "Send a cordoned machine requests again");
  machine_command(machine, o, verbs, Verb::machine_destroy, "destroy", "End a machine for good")
      ->add_flag("-f,--force", o.on_machine.force, "Even while it runs");
}

void add_config_options(CLI::App& sub, Options& o) {
  MachineOptions& m = o.on_machine;
  sub.add_option("-e,--env", m.env, "NAME=VALUE for the app's environment; may repeat");
  sub.add_option("--metadata", m.metadata, "NAME=VALUE; may repeat");
  sub.add_option("--schedule", m.schedule, "Start it hourly, daily, weekly or monthly")
      ->check(CLI::IsMember({"hourly", "daily", "weekly", "monthly"}));
  sub.add_option("--restart", m.restart, "When it has ended: no, on-failure or always")
      ->check(CLI::IsMember({"no", "on-failure", "always"}));
  sub.add_option("--memory", m.memory_mib, "MiB")->check(CLI::PositiveNumber);
  sub.add_flag("--skip-launch", m.skip_launch, "Don't start it");
}

void add_makers(CLI::App& machine, Options& o, Verbs& verbs) {
  CLI::App* run = command(machine, verbs, Verb::machine_run, "run",
                          "Make a machine of an image, beside those of the app's releases",
                          "  perigee machine run registry.example/job:1 --schedule daily --rm\n"
                          "  perigee machine run alpine:3 -e MODE=check --restart no");
  run->add_option("IMAGE", o.image, "A registry reference")->required();
  run->add_option("--name", o.name, "Its name (default: made up)");
  run->add_option("--region", o.region, "Where to place it");
  run->add_flag("--rm", o.on_machine.remove, "Destroy it when it has ended");
  add_config_options(*run, o);
  CLI::App* clone = machine_command(machine, o, verbs, Verb::machine_clone, "clone",
                                    "Make another machine with the configuration of this one");
  clone->add_option("--region", o.region, "Where to place it (default: beside it)");
  clone->add_option("--name", o.name, "Its name (default: made up)");
  clone->add_flag("--skip-launch", o.on_machine.skip_launch, "Don't start it");
  CLI::App* update =
      machine_command(machine, o, verbs, Verb::machine_update, "update",
                      "Give a machine another configuration: it is started anew with it");
  update->add_option("-i,--image", o.image, "A registry reference");
  add_config_options(*update, o);
}

void add_machine_records(CLI::App& machine, Options& o, Verbs& verbs) {
  CLI::App* lease = machine.add_subcommand("lease", "Who alone may change a machine");
  lease->alias("leases")->require_subcommand(1);
  machine_command(*lease, o, verbs, Verb::machine_lease_list, "list", "Show a machine's lease");
  machine_command(*lease, o, verbs, Verb::machine_lease_clear, "clear", "End a machine's lease");
  CLI::App* metadata = machine.add_subcommand("metadata", "Names and values kept with a machine");
  metadata->require_subcommand(1);
  machine_command(*metadata, o, verbs, Verb::machine_metadata_list, "list", "Show them");
  machine_command(*metadata, o, verbs, Verb::machine_metadata_set, "set", "Set some")
      ->add_option("NAME=VALUE", o.on_machine.metadata, "May repeat")
      ->required();
  machine_command(*metadata, o, verbs, Verb::machine_metadata_unset, "unset", "Remove some")
      ->add_option("NAME", o.on_machine.metadata, "May repeat")
      ->required();
}

void add_machine_commands(CLI::App& app, Options& o, Verbs& verbs) {
  CLI::App* machine = app.add_subcommand("machine", "One machine of an app");
  machine->require_subcommand(1);
  command(*machine, verbs, Verb::machine_list, "list", "List an app's machines", "");
  machine_command(*machine, o, verbs, Verb::machine_status, "status",
                  "Show a machine with its last events");
  CLI::App* wait = machine_command(*machine, o, verbs, Verb::machine_wait, "wait",
                                   "Wait until a machine is in a state",
                                   "  perigee machine wait 148e1234567890 --state stopped");
  wait->add_option("--state", o.on_machine.state, "started, stopped, suspended, destroyed, …");
  wait->add_option("--timeout", o.on_machine.timeout, "At most so long (default: 60s)");
  add_orders(*machine, o, verbs);
  add_makers(*machine, o, verbs);
  add_machine_records(*machine, o, verbs);
}

void add_size_options(CLI::App& sub, Options& o) {
  CLI::Option* gib =
      sub.add_option("-s,--size", o.size_gib, "Its size in GiB")->check(CLI::Range(1, 256));
  sub.add_option("--size-mb", o.size_mib, "Its size in MiB, for small ones")
      ->check(CLI::Range(16, 262144))
      ->excludes(gib);
}

CLI::App* volume_command(CLI::App& parent, Options& o, Verbs& verbs, Verb verb,
                         const std::string& name, const std::string& what,
                         const std::string& examples) {
  CLI::App* sub = command(parent, verbs, verb, name, what, examples);
  sub->add_option("VOLUME", o.volume, "The volume's id")->required();
  return sub;
}

void add_volume_commands(CLI::App& app, Options& o, Verbs& verbs) {
  CLI::App* volumes = app.add_subcommand("volumes", "Disks that outlive an app's machines");
  volumes->require_subcommand(1);
  command(*volumes, verbs, Verb::volumes_list, "list", "List an app's volumes", "");
  volume_command(*volumes, o, verbs, Verb::volumes_show, "show", "Show a volume", "");
  CLI::App* create =
      command(*volumes, verbs, Verb::volumes_create, "create",
              "Make a volume; a machine whose [mounts] source has its name gets it",
              "  perigee volumes create data --size 10\n"
              "  perigee volumes create data --snapshot vs_4k2…   # a copy, as it was then");
  create->add_option("NAME", o.name, "Its name: a-z, 0-9 and _")->required();
  create->add_option("--region", o.region, "Where, such as iad");
  create->add_option("--snapshot", o.snapshot, "Begin with this snapshot of a volume of the app");
  create->add_flag_callback(
      "--encrypted", [&o] { o.encrypted = true; },
      "Encrypt it: its server's disk holds no readable data");
  create->add_flag_callback("--no-encryption", [&o] { o.encrypted = false; }, "Don't encrypt it");
  add_size_options(*create, o);
  CLI::App* extend =
      volume_command(*volumes, o, verbs, Verb::volumes_extend, "extend", "Make a volume larger",
                     "  perigee volumes extend ID --size 20");
  add_size_options(*extend, o);
  CLI::App* destroy = volume_command(*volumes, o, verbs, Verb::volumes_destroy, "destroy",
                                     "Destroy a volume with its data and its snapshots", "");
  destroy->add_flag("-y,--yes", o.yes, "Don't ask");
  CLI::App* snapshots = volumes->add_subcommand("snapshots", "Copies of a volume at one moment");
  snapshots->require_subcommand(1);
  volume_command(*snapshots, o, verbs, Verb::snapshots_list, "list", "List a volume's snapshots",
                 "");
  volume_command(*snapshots, o, verbs, Verb::snapshots_create, "create",
                 "Copy a volume as it is now", "");
  volume_command(*snapshots, o, verbs, Verb::snapshots_destroy, "destroy", "Destroy a snapshot", "")
      ->add_option("SNAPSHOT", o.snapshot, "The snapshot's id")
      ->required();
}

void add_console(CLI::App& parent, Options& o, Verbs& verbs, const std::string& examples) {
  CLI::App* console =
      command(parent, verbs, Verb::console, "console",
              "Open a shell in a machine of an app, or run one command there", examples);
  console->add_option("--machine", o.machine, "Which one (default: the first that is started)");
  console->add_option("-u,--user", o.user, "Run as this user (default: the app's)");
  console->add_option("-C,--command", o.command_line, "The command as one text");
  console->add_option("COMMAND", o.command, "The command, behind -- (default: /bin/sh)");
}

void add_exec_commands(CLI::App& app, Options& o, Verbs& verbs) {
  add_console(app, o, verbs,
              "  perigee console -a hello\n  perigee console -a hello -- cat /etc/hosts\n"
              "  tar c . | perigee console -a hello -- tar x -C /srv");
  CLI::App* ssh = app.add_subcommand("ssh", "The same as console, by its other name");
  ssh->require_subcommand(1);
  add_console(*ssh, o, verbs, "  perigee ssh console -a hello -C 'ls -l /'");

  CLI::App* machine = app.get_subcommand("machine");
  CLI::App* exec = machine_command(*machine, o, verbs, Verb::machine_exec, "exec",
                                   "Run a command in a machine; its exit status is passed on",
                                   "  perigee machine exec 148e… -- ls -l /\n"
                                   "  perigee machine exec 148e… -t -- /bin/sh");
  exec->add_flag("-t,--tty", o.tty, "With a terminal");
  exec->add_option("-u,--user", o.user, "Run as this user (default: the app's)");
  exec->add_option("COMMAND", o.command, "The command, behind --")->required();
  machine_command(*machine, o, verbs, Verb::machine_kill, "kill",
                  "Send a signal to the app's main process",
                  "  perigee machine kill 148e…\n"
                  "  perigee machine kill 148e… --signal SIGUSR1")
      ->add_option("-s,--signal", o.on_machine.kill_signal, "Which (default: SIGKILL)");
  machine_command(*machine, o, verbs, Verb::machine_ps, "ps",
                  "Show what runs in a machine, and what it listens on",
                  "  perigee machine ps 148e…\n"
                  "  perigee machine ps 148e… --json");
  machine_command(*machine, o, verbs, Verb::machine_console_log, "console-log",
                  "Print what the machine's kernel said on its console");
}

void add_release_flags(CLI::App& sub, Options& o) {
  sub.add_flag("--stage", o.stage, "Don't restart: the next deploy takes the change along");
  sub.add_flag("--detach", o.detach, "Don't wait: the release goes on on the server");
}

void add_registry_commands(CLI::App& app, Options& o, Verbs& verbs) {
  CLI::App* registry = app.add_subcommand("registry", "Log-ins at image registries, for all apps");
  registry->require_subcommand(1);
  CLI::App* login =
      command(*registry, verbs, Verb::registry_login, "login", "Log in, to pull private images",
              "  perigee registry login ghcr.io\n"
              "  perigee registry login ghcr.io -u me --password-stdin < token.txt");
  login->add_option("REGISTRY", o.registry, "A host with an optional port")->required();
  login->add_option("-u,--username", o.username, "The user's name there; asked for if missing");
  login->add_flag("--password-stdin", o.password_stdin,
                  "Read the password from standard input instead of asking");
  CLI::App* logout =
      command(*registry, verbs, Verb::registry_logout, "logout", "Remove a log-in", "");
  logout->add_option("REGISTRY", o.registry, "A host with an optional port")->required();
  command(*registry, verbs, Verb::registry_list, "list", "List log-ins, without passwords", "");
}

void add_secret_commands(CLI::App& app, Options& o, Verbs& verbs) {
  CLI::App* secrets = app.add_subcommand("secrets", "An app's secrets: set, never shown again");
  secrets->require_subcommand(1);
  CLI::App* set = command(*secrets, verbs, Verb::secrets_set, "set",
                          "Set secrets and put them into use in a new release",
                          "  perigee secrets set API_KEY=- < key.txt\n"
                          "  perigee secrets set USER=app LEVEL=3 --stage");
  set->add_option("NAME=VALUE", o.names, "NAME=- reads the value from standard input")->required();
  add_release_flags(*set, o);
  CLI::App* import = command(*secrets, verbs, Verb::secrets_import, "import",
                             "Set secrets from NAME=VALUE lines on standard input",
                             "  perigee secrets import < .env");
  add_release_flags(*import, o);
  command(*secrets, verbs, Verb::secrets_list, "list", "List names, digests and dates", "");
  CLI::App* unset = command(*secrets, verbs, Verb::secrets_unset, "unset", "Remove secrets",
                            "  perigee secrets unset API_KEY");
  unset->add_option("NAME", o.names, "The secret's name; several may be given")->required();
  add_release_flags(*unset, o);
  CLI::App* deploy = command(*secrets, verbs, Verb::secrets_deploy, "deploy",
                             "Put staged secrets into use in a new release", "");
  deploy->add_flag("--detach", o.detach, "Don't wait: the release goes on on the server");
  command(*secrets, verbs, Verb::secrets_rotate_key, "rotate-key",
          "Make a new key for this fleet, seal everything anew, drop the old one", "");
}

void add_global_options(CLI::App& app, Options& o) {
  app.add_flag("-j,--json", o.json, "Print JSON");
  app.add_option("-a,--app", o.app, "The app (default: the one in perigee.toml)")
      ->envname("PERIGEE_APP");
  app.add_option("-c,--config", o.config, "The app's configuration (default: perigee.toml)");
  app.add_option("--api", o.api_url, "The API's URL (default: what `perigee up` wrote)")
      ->envname("PERIGEE_API_URL");
  app.add_option("--token", o.token, "The API token (default: what `perigee up` wrote)")
      ->envname("PERIGEE_API_TOKEN");
  app.fallthrough();  // global options may stand after the verb
  app.footer(
      "\nRun `perigee COMMAND --help` for a command's options.\n"
      "First steps: perigee doctor, sudo perigee up, perigee launch.");
}

}  // namespace

CLI::App* command(CLI::App& parent, Verbs& verbs, Verb verb, const std::string& name,
                  const std::string& what, const std::string& examples) {
  CLI::App* sub = parent.add_subcommand(name, what);
  if (!examples.empty()) sub->footer("\nExamples:\n" + examples);
  verbs[sub] = verb;
  return sub;
}

std::variant<Options, int> parse_options(int argc, char** argv) {
  Options options;
  Verbs verbs;
  CLI::App app("perigee: run Docker images as microVMs on your own servers, close to their users",
               "perigee");
  app.require_subcommand(1);
  add_global_options(app, options);
  add_node_commands(app, options, verbs);
  add_deploy_commands(app, options, verbs);
  add_app_commands(app, options, verbs);
  add_explain_command(app, options, verbs);
  add_egress_commands(app, options, verbs);
  add_ip_commands(app, options, verbs);
  add_cert_commands(app, options, verbs);
  add_machine_commands(app, options, verbs);
  add_volume_commands(app, options, verbs);
  add_exec_commands(app, options, verbs);
  add_secret_commands(app, options, verbs);
  add_registry_commands(app, options, verbs);
  add_check_commands(app, verbs);
  add_fleet_commands(app, options, verbs);
  add_lab_commands(app, options, verbs);
  add_store_commands(app, options, verbs);
  command(app, verbs, Verb::version, "version", "Print the version", "");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageExit;
  }
  for (const auto& [sub, verb] : verbs) {
    if (sub->parsed() && sub->get_subcommands().empty()) options.verb = verb;
  }
  return options;
}

}  // namespace perigee::cli
