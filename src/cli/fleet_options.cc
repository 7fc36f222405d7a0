// The options of `perigee regions`, `scale` and `nodes`.
#include <CLI/CLI.hpp>

#include "cli/option_parts.h"

namespace perigee::cli {
namespace {

constexpr int kMaxCount = 256;

// Commands of which the first is what the group alone does.
CLI::App* group(CLI::App& app, Verbs& verbs, Verb usual, const std::string& name,
                const std::string& what) {
  CLI::App* sub = app.add_subcommand(name, what);
  sub->require_subcommand(0, 1);
  verbs[sub] = usual;
  return sub;
}

void add_region_commands(CLI::App& app, FleetOptions& o, Verbs& verbs) {
  CLI::App* regions =
      group(app, verbs, Verb::regions_list, "regions", "Cities where an app's machines run");
  command(*regions, verbs, Verb::regions_list, "list",
          "List the fleet's regions, with nodes and room, and which are the app's",
          "  perigee regions list\n  perigee regions list -a hello --json");
  CLI::App* set =
      command(*regions, verbs, Verb::regions_set, "set",
              "Set an app's regions. Machines are made and removed at once; one that "
              "serves is removed when another serves in its place",
              "  perigee regions set fra iad   # these; the primary region comes first\n"
              "  perigee regions set all       # the fleet's, now and later\n"
              "  perigee regions set any       # wherever there is room");
  set->add_option("REGION", o.regions, "Codes such as iad; or all; or any")->required();
  CLI::App* add = command(*regions, verbs, Verb::regions_add, "add", "Add regions to an app's",
                          "  perigee regions add syd -a hello");
  add->add_option("REGION", o.regions, "Codes such as iad")->required();
  CLI::App* remove =
      command(*regions, verbs, Verb::regions_remove, "remove",
              "Remove regions from an app's. Machines with volumes stay until they are destroyed",
              "  perigee regions remove syd -a hello");
  remove->add_option("REGION", o.regions, "Codes such as iad")->required();
}

void add_scale_commands(CLI::App& app, Options& o, Verbs& verbs) {
  CLI::App* scale = group(app, verbs, Verb::scale_show, "scale", "How many machines an app has");
  command(*scale, verbs, Verb::scale_show, "show",
          "Show how many machines each region is to have and has, and why",
          "  perigee scale show -a hello");
  CLI::App* count = command(*scale, verbs, Verb::scale_count, "count",
                            "Set how many machines an app has, in all or in one region. The number "
                            "is kept: a machine that is lost or destroyed is made again",
                            "  perigee scale count 5                  # spread over its regions\n"
                            "  perigee scale count 3 --region fra     # there; the others stay\n"
                            "  perigee scale count 9 --max-per-region 2\n"
                            "  perigee scale count auto               # one in each region");
  count->add_option("COUNT", o.fleet.count, "0 to 256, or auto: one in each region")
      ->required()
      ->check(CLI::Range(0, kMaxCount) | CLI::IsMember({"auto"}));
  count->add_option("--region", o.region, "In this region alone");
  count
      ->add_option("--max-per-region", o.fleet.max_per_region,
                   "At most so many in one region; 0: no bound (default: as it is)")
      ->check(CLI::Range(0, kMaxCount));
}

CLI::App* fleet_node_command(CLI::App& nodes, FleetOptions& o, Verbs& verbs, Verb verb,
                             const std::string& name, const std::string& what,
                             const std::string& examples) {
  CLI::App* sub = command(nodes, verbs, verb, name, what, examples);
  sub->add_option("NODE", o.node, "The node's name")->required();
  return sub;
}

void add_token_commands(CLI::App& nodes, Options& o, Verbs& verbs) {
  CLI::App* token = command(nodes, verbs, Verb::nodes_token, "token",
                            "Make a token that lets another server join this fleet",
                            "  perigee nodes token\n"
                            "  perigee nodes token --control   # for one that is to run control\n"
                            "  perigee nodes token --uses 17 --ttl 24h --json");
  token->add_option("--uses", o.token_uses, "How many servers it admits (default: 1)")
      ->check(CLI::Range(1, 1000));
  token->add_option("--ttl", o.token_ttl, "How long it is good for, such as 30m (default: 1h)");
  token->add_flag("--control", o.token_control,
                  "Good also for a node with control: it gets every key of the fleet");
  command(nodes, verbs, Verb::nodes_tokens, "tokens", "List the join tokens that are good", "");
  CLI::App* revoke =
      command(nodes, verbs, Verb::nodes_revoke, "revoke", "Make a join token admit nobody any more",
              "  perigee nodes revoke 0123456789abcdef");
  revoke->add_option("TOKEN_ID", o.token_id, "As `perigee nodes tokens` lists it")->required();
}

void add_nodes_commands(CLI::App& nodes, FleetOptions& o, Verbs& verbs) {
  command(nodes, verbs, Verb::nodes_list, "list", "List the fleet's nodes",
          "  perigee nodes\n  perigee nodes list --json");
  fleet_node_command(nodes, o, verbs, Verb::nodes_show, "show",
                     "Show a node with its machines and volumes", "  perigee nodes show fra-1");
  fleet_node_command(nodes, o, verbs, Verb::nodes_cordon, "cordon",
                     "Put no new machines on a node; those that are there stay",
                     "  perigee nodes cordon fra-1");
  fleet_node_command(nodes, o, verbs, Verb::nodes_uncordon, "uncordon",
                     "Put machines on a cordoned or drained node again",
                     "  perigee nodes uncordon fra-1");
  fleet_node_command(nodes, o, verbs, Verb::nodes_drain, "drain",
                     "Move a node's machines away: each is started elsewhere first. Those that "
                     "hold volumes, or end by themselves, are named and stay",
                     "  perigee nodes drain fra-1\n"
                     "  perigee nodes drain fra-1 --stop   # before a reboot")
      ->add_flag("--stop", o.stop, "Stop the machines that can't move");
  fleet_node_command(nodes, o, verbs, Verb::nodes_rotate_keys, "rotate-keys",
                     "Change a node's WireGuard key, without losing a request: it is announced for "
                     "a minute, then used. Each node does it by itself every 90 days "
                     "(perigeed.toml: [fleet] key_life)",
                     "  perigee nodes rotate-keys fra-1");
  fleet_node_command(nodes, o, verbs, Verb::nodes_remove, "remove",
                     "Remove a drained or lost node from the fleet: its certificate is good for "
                     "nothing any more",
                     "  perigee nodes remove fra-1\n"
                     "  perigee nodes remove fra-1 --force   # its disks are gone for good")
      ->add_flag("--force", o.force, "Forget the machines and volumes that were lost with it");
}

}  // namespace

void add_fleet_commands(CLI::App& app, Options& o, Verbs& verbs) {
  add_region_commands(app, o.fleet, verbs);
  add_scale_commands(app, o, verbs);
  CLI::App* nodes = group(app, verbs, Verb::nodes_list, "nodes", "The servers of this fleet");
  add_nodes_commands(*nodes, o.fleet, verbs);
  add_token_commands(*nodes, o, verbs);
}

}  // namespace perigee::cli
