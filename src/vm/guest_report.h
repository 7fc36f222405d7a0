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

// What runs in the guest, in the form of the API's `ps`. What a process says of itself is
// printable.
struct ProcessSocket {
  std::string protocol;  // "tcp", "udp"
  std::string address;   // "127.0.0.1:80", "[::]:80"
  bool operator==(const ProcessSocket&) const = default;
};
struct ProcessReport {
  std::int64_t pid = 0;
  std::int64_t started_unix_s = 0;
  std::int64_t age_ms = 0;
  std::int64_t cpu_ms = 0;
  std::int64_t rss_bytes = 0;
  std::string command = {};
  std::string directory = {};
  std::vector<ProcessSocket> sockets = {};
  bool operator==(const ProcessReport&) const = default;
};
// {pid, stime, rtime, command, directory, cpu, rss, listen_sockets}: start in unix seconds, run
// time in seconds, percent of one processor since its start, bytes.
json::Value to_json(const std::vector<ProcessReport>& processes);

json::Value to_json(const channel::Stats& stats);
Result<channel::Stats> stats_from(const json::Value& value);

}  // namespace perigee::vm
