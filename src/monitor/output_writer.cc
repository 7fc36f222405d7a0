#include "monitor/output_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "base/log.h"
#include "base/text.h"

namespace perigee::monitor {
namespace {

using vm::LogRecord;

constexpr int kFlags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC;
constexpr mode_t kMode = 0600;
constexpr std::size_t kMaxRecord = 16 * 1024;  // bytes of one record's message

std::string path_of(const std::string& directory, std::string_view name) {
  return fmt::format("{}/{}", directory, name);
}

// The file's content; records are small, the file bounded.
Result<std::string> read_all(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) < 0) return fail(errno_error(errno, "output log"));
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (n < 0) return fail(errno_error(errno, "read output log"));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  text.resize(done);
  return text;
}

// Splits bytes into records: one for each line, and for the rest a partial one.
std::vector<LogRecord> split_chunk(std::string_view bytes) {
  std::vector<LogRecord> records;
  while (!bytes.empty()) {
    const std::size_t end = bytes.substr(0, kMaxRecord).find('\n');
    const bool whole = end != std::string_view::npos;
    const std::string_view message = bytes.substr(0, whole ? end : kMaxRecord);
    bytes.remove_prefix(message.size() + (whole ? 1 : 0));
    records.push_back({.whole = whole, .message = message});
  }
  return records;
}

}  // namespace

Result<OutputWriter> OutputWriter::open(std::string directory, std::size_t max_bytes) {
  OutputWriter writer(std::move(directory), max_bytes);
  const std::string path = path_of(writer.directory_, vm::kOutputLog);
  TRY(writer.file_, sys::own(::open(path.c_str(), kFlags, kMode), "open " + path));
  TRY_VOID(writer.recover());
  return writer;
}

// Finds where an earlier monitor stopped. A chunk of which only a part is on file is taken away:
// the guest sends it again.
Result<void> OutputWriter::recover() {
  TRY(const std::string text, read_all(file_.get()));
  if (text.empty()) {
    const std::string old = path_of(directory_, vm::kOldOutputLog);
    const sys::Fd fd(::open(old.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return {};
    TRY(const std::string old_text, read_all(fd.get()));
    take_up(old_text);
    size_ = 0;
    return {};
  }
  take_up(text);
  if (size_ < text.size() && ::ftruncate(file_.get(), static_cast<off_t>(size_)) < 0) {
    return fail(errno_error(errno, "truncate output log"));
  }
  return {};
}

// Sets size_ to the end of the last whole chunk, and the counters to what it says.
void OutputWriter::take_up(std::string_view text) {
  std::size_t start = 0;
  for (;;) {
    const auto end = text.find('\n', start);
    if (end == std::string_view::npos) return;
    const auto record = vm::parse_record(text.substr(start, end - start));
    start = end + 1;
    if (!record || !record->chunk_ends) continue;
    size_ = start;
    next_sequence_ = record->sequence + 1;
    received_ = record->chunk;
  }
}

std::size_t OutputWriter::chunk(std::uint64_t number, vm::LogStream stream, WallTime at,
                                std::string_view bytes) {
  if (number <= received_) return 0;
  confess(at);
  received_ = number;
  std::string text;
  std::uint64_t sequence = next_sequence_;
  std::vector<LogRecord> records = split_chunk(bytes);
  for (LogRecord& record : records) {
    record.sequence = sequence++;
    record.at = at;
    record.stream = stream;
    record.chunk = number;
    record.chunk_ends = &record == &records.back();
    text += vm::format_record(record);
  }
  if (append(text)) {
    next_sequence_ = sequence;
    return text.size();
  }
  dropped_bytes_ += bytes.size();
  unconfessed_bytes_ += bytes.size();
  return 0;
}

void OutputWriter::say(WallTime at, std::string_view message) {
  confess(at);
  const LogRecord record{.sequence = next_sequence_,
                         .at = at,
                         .stream = vm::LogStream::system,
                         .chunk = received_,
                         .message = message};
  if (append(vm::format_record(record))) ++next_sequence_;
}

void OutputWriter::confess(WallTime at) {
  if (unconfessed_bytes_ == 0) return;
  const std::string message =
      fmt::format("{} bytes of output were lost: the server's disk was full", unconfessed_bytes_);
  const LogRecord record{.sequence = next_sequence_,
                         .at = at,
                         .stream = vm::LogStream::system,
                         .chunk = received_,
                         .message = message};
  if (!append(vm::format_record(record))) return;
  ++next_sequence_;
  unconfessed_bytes_ = 0;
}

// All of it or nothing.
bool OutputWriter::append(std::string_view records) {
  if (records.empty()) return true;
  if (size_ >= max_bytes_) rotate();
  const ssize_t n = ::write(file_.get(), records.data(), records.size());
  if (n == static_cast<ssize_t>(records.size())) {
    size_ += records.size();
    return true;
  }
  if (n > 0 && ::ftruncate(file_.get(), static_cast<off_t>(size_)) < 0) {
    log_warning("monitor", "output log: a torn record stays");
  }
  return false;
}

// On failure (no inode left) the log grows on.
void OutputWriter::rotate() {
  const std::string path = path_of(directory_, vm::kOutputLog);
  const std::string fresh = path + ".new";
  sys::Fd file(::open(fresh.c_str(), kFlags | O_TRUNC, kMode));
  if (!file.valid()) return;
  const std::string old = path_of(directory_, vm::kOldOutputLog);
  if (::rename(path.c_str(), old.c_str()) < 0 || ::rename(fresh.c_str(), path.c_str()) < 0) return;
  file_ = std::move(file);
  size_ = 0;
}

}  // namespace perigee::monitor
