// What the command line says to the commands below `perigee lab`.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace perigee::cli {

struct LabOptions {
  std::string directory = "/var/lib/perigee-lab";
  std::string cities;                // up: a number, a list or a file; empty: as they are, or 17
  std::string control;               // up: codes; empty: as it is, or the usual three
  bool no_nodes = false;             // up
  std::string place;                 // cut, heal, degrade: fra or fra-syd
  std::optional<double> rtt_ms;      // degrade
  std::optional<double> jitter_ms;   // degrade
  std::optional<double> loss;        // degrade: percent
  std::optional<double> rate_mbit;   // degrade
  std::string file;                  // capture
  std::string from;                  // curl, load: whose users
  std::string edge;                  // curl, load: whose edge they ask; empty: their own city's
  std::string city;                  // exec
  bool as_user = false;              // exec: where the city's users are
  std::vector<std::string> urls;     // curl; what stands behind -- too, as the parser has it
  std::vector<std::string> command;  // exec: words behind --
  std::string app;                   // latency, load
  std::string path = "/";            // latency, load
  std::string origin;                // latency: a city; empty: the first
  std::string svg;                   // latency: a file
  int requests = 5;                  // latency: of each city, each way
  int rate = 20;                     // load: requests a second
  int seconds = 10;                  // load
};

}  // namespace perigee::cli
