// The parts in which the command line is declared. Private to options.cc and the other files that
// see the parser's library.
#pragma once

#include <map>
#include <string>

#include "cli/options.h"

namespace CLI {
class App;
}

namespace perigee::cli {

using Verbs = std::map<CLI::App*, Verb>;

// A command below `parent`, with a paragraph of examples in its help unless they are empty.
CLI::App* command(CLI::App& parent, Verbs& verbs, Verb verb, const std::string& name,
                  const std::string& what, const std::string& examples);

void add_fleet_commands(CLI::App& app, Options& o, Verbs& verbs);
void add_lab_commands(CLI::App& app, Options& o, Verbs& verbs);
void add_store_commands(CLI::App& app, Options& o, Verbs& verbs);

}  // namespace perigee::cli
