#include "vm/output_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <limits>

#include "base/text.h"

namespace perigee::vm {
namespace {

constexpr std::size_t kReadStep = 64 * 1024;
constexpr std::uint64_t kMaxNumber = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kTailBatch = 4096;

// Cuts "abc rest" at the first blank; nullopt without one.
std::optional<std::string_view> take_word(std::string_view& rest) {
  const auto cut = split_once(rest, ' ');
  if (!cut) return std::nullopt;
  rest = cut->second;
  return cut->first;
}

std::optional<LogStream> stream_of(std::string_view word) {
  for (const LogStream stream : {LogStream::out, LogStream::err, LogStream::system}) {
    if (word.size() == 1 && word.front() == static_cast<char>(stream)) return stream;
  }
  return std::nullopt;
}

std::size_t slot(LogStream stream) {
  return stream == LogStream::err ? 1 : 0;
}

}  // namespace

std::string_view to_string(LogStream stream) {
  switch (stream) {
    case LogStream::out:
      return "stdout";
    case LogStream::err:
      return "stderr";
    case LogStream::system:
      return "system";
  }
  return "unknown";
}

Result<LogStream> log_stream_from(std::string_view name) {
  for (const LogStream stream : {LogStream::out, LogStream::err, LogStream::system}) {
    if (to_string(stream) == name) return stream;
  }
  return fail(Code::invalid_argument, "stream: '{}' is not stdout, stderr or system", name);
}

bool matches(const LogFilter& filter, const LogLine& line) {
  if (filter.stream && line.stream != *filter.stream) return false;
  if (filter.since && line.at.ns < filter.since->ns) return false;
  return line.message.find(filter.search) != std::string::npos;
}

std::string format_record(const LogRecord& record) {
  return fmt::format("{} {} {} {} {}{} {}\n", record.sequence, record.at.ns,
                     static_cast<char>(record.stream), record.whole ? 'F' : 'P', record.chunk,
                     record.chunk_ends ? "." : "", record.message);
}

Result<LogRecord> parse_record(std::string_view line) {
  const auto bad = [] { return fail(Code::data_loss, "output log: a malformed record"); };
  LogRecord record;
  std::string_view rest = line;
  const auto sequence = take_word(rest);
  const auto at = take_word(rest);
  const auto stream = take_word(rest);
  const auto mark = take_word(rest);
  auto chunk = take_word(rest);
  if (!chunk || (*mark != "F" && *mark != "P")) return bad();
  record.chunk_ends = chunk->ends_with('.');
  if (record.chunk_ends) chunk->remove_suffix(1);
  const auto sequence_number = parse_uint(*sequence, kMaxNumber);
  const auto at_ns = parse_uint(*at, kMaxNumber);
  const auto chunk_number = parse_uint(*chunk, kMaxNumber);
  const auto stream_value = stream_of(*stream);
  if (!sequence_number || !at_ns || !chunk_number || !stream_value) return bad();
  record.sequence = *sequence_number;
  record.at = {static_cast<std::int64_t>(*at_ns)};
  record.stream = *stream_value;
  record.whole = *mark == "F";
  record.chunk = *chunk_number;
  record.message = rest;
  return record;
}

// Opens what follows the file that was read to its end: the old log if that is another one (at the
// start, or when it became old unread), else the current one. False when there is none.
bool LogReader::open_next() {
  for (const std::string_view name : {kOldOutputLog, kOutputLog}) {
    const std::string path = fmt::format("{}/{}", directory_, name);
    sys::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info{};
    if (!fd.valid() || ::fstat(fd.get(), &info) < 0) continue;
    if (file_.valid() && info.st_ino == inode_) continue;
    file_ = std::move(fd);
    inode_ = info.st_ino;
    buffer_.clear();
    return true;
  }
  return false;
}

// Whether the file being read is no longer the current one.
bool LogReader::rotated() const {
  struct stat info{};
  const std::string path = fmt::format("{}/{}", directory_, kOutputLog);
  return ::stat(path.c_str(), &info) == 0 && info.st_ino != inode_;
}

Result<std::size_t> LogReader::read_on() {
  const std::size_t old = buffer_.size();
  buffer_.resize(old + kReadStep);
  const ssize_t n = ::read(file_.get(), buffer_.data() + old, kReadStep);
  const int error = errno;
  buffer_.resize(old + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  if (n < 0) return fail(errno_error(error, "read output log"));
  return static_cast<std::size_t>(n);
}

// Reads on. False at the end of everything that is there.
Result<bool> LogReader::fill() {
  for (;;) {
    if (file_.valid()) {
      TRY(std::size_t n, read_on());
      if (n > 0) return true;
      if (!rotated()) return false;
      TRY(n, read_on());  // what was written before the rotation
      if (n > 0) return true;
    }
    if (!open_next()) return false;
  }
}

void LogReader::flush(LogStream stream, std::vector<LogLine>& into) {
  const std::size_t i = slot(stream);
  if (!has_partial_[i]) return;
  has_partial_[i] = false;
  into.push_back(std::move(partial_[i]));
  partial_[i] = {};
}

void LogReader::join(const LogRecord& record, std::vector<LogLine>& into) {
  const std::size_t i = slot(record.stream);
  LogLine& line = partial_[i];
  if (!has_partial_[i]) line = {.at = record.at, .stream = record.stream};
  has_partial_[i] = true;
  line.sequence = record.sequence;
  line.message += record.message;
  if (record.whole || line.message.size() >= kMaxLogLine) flush(record.stream, into);
}

void LogReader::take(std::string_view text, std::vector<LogLine>& into) {
  const auto record = parse_record(text);
  if (!record || record->sequence <= after_) return;  // damaged by a crash of the host, or known
  after_ = record->sequence;
  if (record->stream != LogStream::system) return join(*record, into);
  // The monitor speaks at the start and the end of a boot: a line without an end has one now.
  flush(LogStream::out, into);
  flush(LogStream::err, into);
  into.push_back({record->sequence, record->at, record->stream, std::string(record->message)});
}

Result<std::vector<LogLine>> LogReader::read(std::size_t max) {
  std::vector<LogLine> lines;
  std::size_t start = 0;
  while (lines.size() < max) {
    const auto end = buffer_.find('\n', start);
    if (end != std::string::npos) {
      take(std::string_view(buffer_).substr(start, end - start), lines);
      start = end + 1;
      continue;
    }
    buffer_.erase(0, start);
    start = 0;
    TRY(const bool more, fill());
    if (!more) break;
  }
  buffer_.erase(0, std::min(start, buffer_.size()));
  return lines;
}

Result<std::vector<LogLine>> tail_log(const std::string& vm_dir, std::size_t max,
                                      const LogFilter& filter) {
  LogReader reader(vm_dir, 0);
  std::deque<LogLine> last;
  for (;;) {
    TRY(std::vector<LogLine> lines, reader.read(kTailBatch));
    if (lines.empty()) return std::vector<LogLine>(last.begin(), last.end());
    for (LogLine& line : lines) {
      if (!matches(filter, line)) continue;
      last.push_back(std::move(line));
      if (last.size() > max) last.pop_front();
    }
  }
}

}  // namespace perigee::vm
