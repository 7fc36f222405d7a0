// AccessLog: one JSON line per request, appended to a file (or standard error) by the thread pool a
// few times a second. A request only appends to a string; when the disk can't keep up, lines are
// dropped and counted. The file is opened for each write, so that it may be rotated by renaming.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "async/task.h"
#include "sys/host.h"

namespace perigee::router {

struct AccessRecord {
  WallTime at;
  std::string_view request_id;
  std::string_view client;
  std::string_view method;
  std::string_view host;
  std::string_view path;  // without the query, which may hold secrets
  std::string_view app;
  std::string_view machine;
  std::string_view machine_node;
  std::string_view relay;   // the node that the machine's was reached through
  std::string_view node;    // the router's
  std::string_view region;  // the router's
  std::string_view reason;  // why the router answered itself, or cut the response
  int status = 0;
  int attempts = 0;
  int http = 1;  // the major version that the client speaks
  bool tls = false;
  std::uint64_t bytes = 0;  // of the response's body
  Duration duration{};
  Duration upstream{};  // to the head of the machine's response
};
// The time as the log has it (RFC 3339, with milliseconds), cheap for one line after another.
class LogTime {
 public:
  std::string_view text(WallTime time);  // until the next call

 private:
  std::string text_;
  std::int64_t second_ = 0;
};

// Appends the record as a line of JSON.
void append_access_line(std::string& out, std::string_view at, const AccessRecord& record);

class AccessLog {
 public:
  // `path` empty: standard error.
  AccessLog(sys::Host& host, std::string path, std::uint64_t& dropped);
  void append(const AccessRecord& record);
  async::Task<void> flush();

 private:
  static async::Task<void> run(AccessLog& log);

  sys::Host& host_;
  std::string path_;
  std::uint64_t& dropped_;
  std::string queue_;
  LogTime time_;
  bool failing_ = false;  // and said so
  async::Task<void> flusher_;
};

}  // namespace perigee::router
