// OutputLog: what an app wrote, line by line, in its VM's directory: `output.log`, and
// `output.1.log` once that was full (docs/formats/output-log.md). The monitor writes it
// (monitor/output_writer.h); the worker reads it here, for `tail` and `follow`, without asking
// anybody.
//
//   LogReader reader(vm_dir, 0);                      // from the oldest line kept
//   auto lines = co_await pool.run(loop, [&] { return reader.read(500); });   // blocking file
//   reads … to follow, call read() again after kFollowInterval whenever it returned nothing …
//
// One thread at a time. Sequence numbers rise over all boots of a machine, with gaps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace perigee::vm {

inline constexpr std::string_view kOutputLog = "output.log";
inline constexpr std::string_view kOldOutputLog = "output.1.log";
inline constexpr std::size_t kMaxOutputLog = std::size_t{4} * 1024 * 1024;  // of each, by default
inline constexpr std::size_t kMaxLogLine = std::size_t{64} * 1024;  // longer ones come in parts
inline constexpr Duration kFollowInterval = 50ms;

enum class LogStream : char { out = 'o', err = 'e', system = 's' };
std::string_view to_string(LogStream stream);  // "stdout", "stderr", "system"

struct LogLine {
  std::uint64_t sequence = 0;
  WallTime at = {};
  LogStream stream = LogStream::out;
  std::string message = {};  // without its newline; any bytes
  bool operator==(const LogLine&) const = default;
};

// Which lines a reader wants.
struct LogFilter {
  std::string search = {};  // a part of the message, byte for byte; empty: any
  std::optional<LogStream> stream = std::nullopt;
  std::optional<WallTime> since = std::nullopt;
  bool operator==(const LogFilter&) const = default;
};
bool matches(const LogFilter& filter, const LogLine& line);
Result<LogStream> log_stream_from(std::string_view name);  // "stdout", "stderr", "system"

// One line of the file. A line of the app may be spread over several records (`whole` is false for
// all but its last), because what the guest sent is written at once.
struct LogRecord {
  std::uint64_t sequence = 0;
  WallTime at = {};
  LogStream stream = LogStream::out;
  bool whole = true;
  std::uint64_t chunk = 0;  // the guest's sequence number; 0 in records of the monitor
  bool chunk_ends = true;   // this is the chunk's last record
  std::string_view message = {};
};
std::string format_record(const LogRecord& record);     // with its newline
Result<LogRecord> parse_record(std::string_view line);  // without; views into `line`

class LogReader {
 public:
  // Lines with a sequence above `after`.
  LogReader(std::string vm_dir, std::uint64_t after)
      : directory_(std::move(vm_dir)), after_(after) {}

  // The next complete lines, at most `max`; empty when there are none yet (an absent log is an
  // empty one).
  Result<std::vector<LogLine>> read(std::size_t max);

 private:
  bool open_next();
  bool rotated() const;
  Result<std::size_t> read_on();
  Result<bool> fill();
  void take(std::string_view line, std::vector<LogLine>& into);
  void join(const LogRecord& record, std::vector<LogLine>& into);
  void flush(LogStream stream, std::vector<LogLine>& into);

  std::string directory_;
  std::uint64_t after_;
  sys::Fd file_;
  std::uint64_t inode_ = 0;
  std::string buffer_;  // read, not yet cut into records
  LogLine partial_[2];  // of stdout and stderr: a line whose end has not come
  bool has_partial_[2] = {false, false};
};

// The last `max` lines that match. Blocking.
Result<std::vector<LogLine>> tail_log(const std::string& vm_dir, std::size_t max,
                                      const LogFilter& filter = {});

}  // namespace perigee::vm
