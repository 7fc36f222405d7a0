// WorkerLink: control's calls to workers, over worker.sock. Tests serve that socket themselves.
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

class WorkerLink {
 public:
  WorkerLink(sys::Host& host, std::string socket)
      : host_(host), socket_(std::move(socket)), client_(host, {}) {}
  // The last `tail` lines, to their end.
  async::Task<Result<std::vector<LogLine>>> tail(MachineId machine, std::size_t lines);
  // Lines from sequence `from` on, endless.
  async::Task<Result<std::unique_ptr<LogReader>>> follow(MachineId machine, std::int64_t from);
  // An exec stream to a machine (docs/formats/exec-stream.md), not yet begun.
  async::Task<Result<std::unique_ptr<sys::Stream>>> exec(MachineId machine);
  async::Task<Result<void>> signal(MachineId machine, int number);
  async::Task<Result<std::string>> console(MachineId machine);

 private:
  async::Task<Result<std::unique_ptr<LogReader>>> open(std::string target);
  async::Task<Result<std::string>> call(http::RequestHead head, std::string body);

  sys::Host& host_;
  std::string socket_;
  http::Client client_;
};

}  // namespace perigee::control
