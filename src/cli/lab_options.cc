// The options of `perigee lab`.
#include <CLI/CLI.hpp>

#include "cli/option_parts.h"

namespace perigee::cli {
namespace {

constexpr const char* kAbout =
    R"(A network of cities on this machine.

Each city is a network namespace with a node of its own, and another one with its users. A program
between them forwards packets as late as the distance between the cities is long; it can lose
packets, slow a path down, or cut it. Nothing of the lab reaches this machine's own network.

  between two cities  round trip = great-circle km x 2 / 200 x 1.5 + 2 ms
  on the last mile    round trip = 10 ms, between users and their city's edge
  addresses           10.90.N.1 is the Nth city's node, 10.90.N.2 its users
  names               an app answers at http://APP.lab.test/ on every city's edge

Everything that it measures is simulated by these rules. It needs root.)";

constexpr const char* kExamples =
    R"(
Examples:
  sudo perigee lab up --cities iad,fra,syd
  sudo perigee lab curl --from syd http://hello.lab.test/
  sudo perigee lab latency hello
  sudo perigee lab cut fra-syd; sudo perigee lab heal
  sudo perigee lab degrade iad-syd --loss 2 --rtt 400
  sudo perigee lab down

All of a lab is in one folder (--dir, PERIGEE_LAB; /var/lib/perigee-lab). Labs in different folders
don't meet.)";

void add_network_commands(CLI::App& lab, LabOptions& o, Verbs& verbs) {
  command(lab, verbs, Verb::lab_cut, "cut",
          "Cut a city off from all others, or the path between two",
          "  perigee lab cut fra\n  perigee lab cut fra-syd\n\n"
          "Packets that are under way are lost, too. A city's users still reach its own edge.")
      ->add_option("CITY|A-B", o.place, "What to cut")
      ->required();
  command(lab, verbs, Verb::lab_heal, "heal", "Make paths again as the map has them",
          "  perigee lab heal\n  perigee lab heal fra-syd")
      ->add_option("CITY|A-B", o.place, "Which (default: all)");
  CLI::App* degrade = command(lab, verbs, Verb::lab_degrade, "degrade",
                              "Make a path worse, or all paths of a city, until heal",
                              "  perigee lab degrade iad-syd --loss 2 --rtt 400\n"
                              "  perigee lab degrade fra --rate 10 --jitter 5");
  degrade->add_option("CITY|A-B", o.place, "Which")->required();
  degrade->add_option("--loss", o.loss, "Percent of the packets, each way")
      ->check(CLI::Range(0.0, 100.0));
  degrade->add_option("--rtt", o.rtt_ms, "Round trip, ms")->check(CLI::Range(0.0, 10'000.0));
  degrade->add_option("--jitter", o.jitter_ms, "At most so much on top each way, ms")
      ->check(CLI::Range(0.0, 10'000.0));
  degrade->add_option("--rate", o.rate_mbit, "Mbit/s each way; 0: no bound")
      ->check(CLI::Range(0.0, 1e6));
  command(lab, verbs, Verb::lab_capture, "capture",
          "Write what goes between cities into a file that tcpdump reads",
          "  perigee lab capture /root/wan.pcap\n  perigee lab capture   # ends it")
      ->add_option("FILE", o.file, "Where to; it is replaced");
}

void add_user_commands(CLI::App& lab, LabOptions& o, Verbs& verbs) {
  CLI::App* curl =
      command(lab, verbs, Verb::lab_curl, "curl",
              "Fetch URLs as a city's users do, and say how long each phase took",
              "  perigee lab curl --from syd http://hello.lab.test/\n"
              "  perigee lab curl --from syd --edge iad https://hello.lab.test/ -- -o /dev/null");
  curl->add_option("--from", o.from, "The users' city")->required();
  curl->add_option("--edge", o.edge, "Ask this city's edge (default: that of --from)");
  curl->add_option("URL", o.urls, "What to fetch")->required();
  curl->add_option("OPTION", o.command, "For curl, behind --");
  CLI::App* exec = command(lab, verbs, Verb::lab_exec, "exec",
                           "Run a command in the network of a city's node, or of its users",
                           "  perigee lab exec iad -- perigee status -a hello\n"
                           "  perigee lab exec syd --user -- ping -c 3 10.90.1.1");
  exec->add_option("CITY", o.city, "Where")->required();
  exec->add_flag("--user", o.as_user, "Where its users are");
  exec->add_option("COMMAND", o.command, "The command, behind --")->required();
}

void add_measurements(CLI::App& lab, LabOptions& o, Verbs& verbs) {
  CLI::App* latency =
      command(lab, verbs, Verb::lab_latency, "latency",
              "Measure what users wait from each city: for one origin, for Perigee",

              "  perigee lab latency hello\n  perigee lab latency hello --svg latency.svg\n"
              "  perigee lab latency hello --origin fra --requests 20 --json\n\n"
              "Time to the first byte over a new connection with TLS 1.3, median: once to the "
              "edge of\nthe origin's city, once to the edge of the users' own.");
  latency->add_option("APP", o.app, "The app")->required();
  latency->add_option("--origin", o.origin, "The origin's city (default: the first of the lab)");
  latency->add_option("--path", o.path, "What to ask for (default: /)");
  latency->add_option("--requests", o.requests, "From each city, each way (default: 5)")
      ->check(CLI::Range(1, 1000));
  latency->add_option("--svg", o.svg, "Draw it into this file, too");
  CLI::App* load = command(lab, verbs, Verb::lab_load, "load",
                           "Send an app requests from a city's users at a fixed rate",
                           "  perigee lab load hello --from syd\n"
                           "  perigee lab load hello --from syd --rate 200 --seconds 60");
  load->add_option("APP", o.app, "The app")->required();
  load->add_option("--from", o.from, "The users' city")->required();
  load->add_option("--edge", o.edge, "Ask this city's edge (default: that of --from)");
  load->add_option("--path", o.path, "What to ask for (default: /)");
  load->add_option("--rate", o.rate, "Requests a second (default: 20)")->check(CLI::Range(1, 5000));
  load->add_option("--seconds", o.seconds, "For how long (default: 10)")
      ->check(CLI::Range(1, 3600));
}

}  // namespace

void add_lab_commands(CLI::App& app, Options& o, Verbs& verbs) {
  CLI::App* lab = app.add_subcommand("lab", "A network of many cities on this machine");
  lab->description(kAbout);
  lab->footer(kExamples);
  lab->require_subcommand(1);
  lab->add_option("--dir", o.lab.directory, "The lab's folder (default: /var/lib/perigee-lab)")
      ->envname("PERIGEE_LAB");
  lab->fallthrough();
  CLI::App* up = command(
      *lab, verbs, Verb::lab_up, "up", "Make a lab, or what is missing of the one that is there",
      "  perigee lab up\n  perigee lab up --cities 4\n  perigee lab up --cities iad,fra,syd\n"
      "  perigee lab up --cities cities.txt   # lines: code, or code latitude longitude");
  up->add_option("--cities", o.lab.cities,
                 "How many of the 17 that have a place in it (default: all), a list of region "
                 "codes, or a file")
      ->type_name("N|LIST|FILE");
  up->add_option("--control", o.lab.control,
                 "Cities with control and a member of etcd each (default: iad,ewr,ord, where the "
                 "lab has them and etcd is there; else the first city, with SQLite)")
      ->type_name("LIST");
  up->add_flag("--no-nodes", o.lab.no_nodes, "The network alone");
  command(*lab, verbs, Verb::lab_down, "down",
          "Remove a lab: its processes, its namespaces, its data", "");
  command(*lab, verbs, Verb::lab_status, "status",
          "Show a lab's cities, and the paths that were changed", "");
  add_network_commands(*lab, o.lab, verbs);
  add_user_commands(*lab, o.lab, verbs);
  add_measurements(*lab, o.lab, verbs);
  command(*lab, verbs, Verb::lab_wan, "wan", "Be the lab's network (started by up)", "")->group("");
}

}  // namespace perigee::cli
