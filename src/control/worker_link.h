// WorkerLink: control's calls to workers: to its own node's over worker.sock, to others' over
// link.sock, which carries them there. Tests serve that socket themselves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "http/client.h"
#include "json/json.h"
#include "model/types.h"
#include "sys/host.h"

namespace perigee::control {

// One line of an app's output.
struct LogLine {
  std::int64_t sequence = 0;
  std::string at;  // RFC 3339
  std::string stream;
  std::string message;
  bool operator==(const LogLine&) const = default;
};
Result<LogLine> log_line_from(const json::Value& value);

// The lines of one machine as they come.
class LogReader {
 public:
  explicit LogReader(std::unique_ptr<http::Response> response) : response_(std::move(response)) {}
  // nullopt: the end.
  async::Task<Result<std::optional<LogLine>>> next();

 private:
  std::unique_ptr<http::Response> response_;
  std::string buffer_;
  std::size_t start_ = 0;
};

// Which lines a worker is to give; it filters where they are.
struct LogFilter {
  std::string search;
  std::string stream;         // "stdout", "stderr", "system"; empty: all
  std::int64_t since_ns = 0;  // since 1970; 0: all that is kept
  bool operator==(const LogFilter&) const = default;
};

// Which machine, and where it is.
struct MachineAt {
  MachineId machine;
  NodeId node;
};

inline MachineAt at(const model::Machine& machine) {
  return {machine.id, machine.node};
}

class WorkerLink {
 public:
  struct Sockets {
    NodeId own;          // the node that control runs on
    std::string worker;  // its worker.sock
    std::string link;    // its link.sock
  };
  WorkerLink(sys::Host& host, Sockets sockets)
      : host_(host), sockets_(std::move(sockets)), client_(host, {}) {}
  // The last `lines` that match, to their end; also of a machine of `app` that is gone.
  async::Task<Result<std::vector<LogLine>>> tail(AppName app, MachineAt machine, std::size_t lines,
                                                 LogFilter filter);
  // Matching lines from sequence `from` on, endless.
  async::Task<Result<std::unique_ptr<LogReader>>> follow(MachineAt machine, std::int64_t from,
                                                         LogFilter filter);
  // The app's machines that are gone and whose output that node keeps, oldest first.
  async::Task<Result<std::vector<MachineId>>> archived(AppName app, NodeId node);
  // What the machine uses now: CPU and memory of guest and VMM.
  async::Task<Result<json::Value>> usage(MachineAt machine);
  // What runs in the machine, as the API shows it.
  async::Task<Result<json::Value>> processes(MachineAt machine);
  // An exec stream to a machine (docs/formats/exec-stream.md), not yet begun.
  async::Task<Result<std::unique_ptr<sys::Stream>>> exec(MachineAt machine);
  async::Task<Result<void>> signal(MachineAt machine, int number);
  async::Task<Result<std::string>> console(MachineAt machine);

 private:
  // Where a call to that node's worker goes; the head is told whom it is for.
  Result<sys::Address> way_to(const NodeId& node, http::RequestHead& head) const;
  async::Task<Result<std::unique_ptr<LogReader>>> open(NodeId node, std::string target);
  async::Task<Result<std::string>> call(NodeId node, http::RequestHead head, std::string body);

  sys::Host& host_;
  Sockets sockets_;
  http::Client client_;
};

}  // namespace perigee::control
