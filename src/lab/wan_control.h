// What is asked of a running emulator, over its Unix socket: one JSON object a line each way
// (docs/formats/lab.md). WanControl does it to a Wan; both are without I/O.
//
//   {"do": "degrade", "a": "fra", "b": "syd", "loss": 0.02, "rtt_ms": 400}   →   {"ok": true}
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/json.h"
#include "lab/topology.h"
#include "lab/wan.h"

namespace perigee::lab {

struct WanRequest {
  enum class Action {
    stat,     // what went over each path, and how it is set
    cut,      // a path, or all paths of a city
    heal,     // the same as the map has them; everything without a city
    degrade,  // a path: what is given of the fields below
    capture,  // what goes between cities into a file; without one: end that
  };
  Action action = Action::stat;
  std::string a = {};
  std::string b = {};
  std::optional<double> rtt_ms = {};
  std::optional<double> jitter_ms = {};
  std::optional<double> loss = {};       // 0 to 1
  std::optional<double> rate_mbit = {};  // 0: no bound
  std::string file = {};
  bool operator==(const WanRequest&) const = default;
};

std::string encode(const WanRequest& request);
Result<WanRequest> decode_wan_request(std::string_view line);

// `capture` is not among what it does: that takes a file.
class WanControl {
 public:
  WanControl(const Plan& plan, Wan& wan) : plan_(plan), wan_(wan) {}

  // Sets every path as the map has it.
  void reset();
  Result<json::Value> apply(const WanRequest& request);

 private:
  Result<void> cut(const WanRequest& request);
  Result<void> heal(const WanRequest& request);
  Result<void> degrade(const WanRequest& request);
  json::Value stat() const;
  json::Value path_stat(Site from, Site to) const;
  // The paths that a request names, as pairs of sites.
  Result<std::vector<std::pair<Site, Site>>> paths_of(const WanRequest& request) const;

  const Plan& plan_;
  Wan& wan_;
};

}  // namespace perigee::lab
