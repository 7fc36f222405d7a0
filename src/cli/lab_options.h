// What the command line says to the commands below `perigee lab`.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace perigee::cli {

struct LabOptions {
  std::string directory = "/var/lib/perigee-lab";
  std::string cities;                // up: a number, a list or a file; empty: as they are, or 17
  std::string place;                 // cut, heal, degrade: fra or fra-syd
  std::optional<double> rtt_ms;      // degrade
  std::optional<double> jitter_ms;   // degrade
  std::optional<double> loss;        // degrade: percent
  std::optional<double> rate_mbit;   // degrade
  std::string file;                  // capture
  std::string from;                  // curl: whose users
  std::string edge;                  // curl: whose edge they ask; empty: their own city's
  std::vector<std::string> urls;     // curl
  std::string city;                  // exec
  bool as_user = false;              // exec: where the city's users are
  std::vector<std::string> command;  // exec, curl: words behind --
};

}  // namespace perigee::cli
