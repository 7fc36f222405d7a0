// What a guest says about itself when it is asked, as values and as JSON on the monitor's socket
// (docs/formats/monitor-socket.md). The guest may lie: believe none of it beyond showing it to the
// guest's owner.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "channel/types.h"
#include "json/json.h"

namespace perigee::vm {

struct ListeningSocket {
  std::string address;  // "127.0.0.1", "::"
  int port = 0;
  std::string process;  // printable; empty: unknown
  bool operator==(const ListeningSocket&) const = default;
};

json::Value to_json(const std::vector<ListeningSocket>& sockets);
Result<std::vector<ListeningSocket>> listening_from(const json::Value& value);

json::Value to_json(const channel::Stats& stats);
Result<channel::Stats> stats_from(const json::Value& value);

}  // namespace perigee::vm
