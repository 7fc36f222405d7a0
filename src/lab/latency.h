// How long users wait, city by city: one origin against the edge of their own city. Requests are
// made by curl from where the users are, each on a connection of its own; here is what is asked of
// it, what its answers say, and how that is shown. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "lab/topology.h"

namespace perigee::lab {

// One request.
struct Sample {
  int status = 0;
  Duration first_byte{};  // since the beginning: connection and TLS included
  bool operator==(const Sample&) const = default;
};

// curl for `count` requests of https://<app>.lab.test<path> at that city's edge.
std::vector<std::string> sample_command(const Plan& plan, const CityPlan& edge,
                                        std::string_view app, std::string_view path, int count);
// What that printed. An error where a line is none, or a request had no connection of its own.
Result<std::vector<Sample>> parse_samples(std::string_view text);

// Of the requests that were answered by 200.
struct Wait {
  Duration median{};
  int answered = 0;
  int asked = 0;
};
Wait summarize(const std::vector<Sample>& samples, int asked);

struct CityLatency {
  std::string city;
  Duration distance{};  // to the origin's city: the network's round trip
  Wait origin;
  Wait perigee;
};

struct LatencyReport {
  std::string app;
  std::string origin;  // its city
  std::vector<CityLatency> cities;
};

// What stands under every form of the report.
std::string simulation_note(const LatencyReport& report);
// Two bars for each city, for a terminal.
std::vector<std::string> terminal_plot(const LatencyReport& report);
std::string svg_plot(const LatencyReport& report);

}  // namespace perigee::lab
