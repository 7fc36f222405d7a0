#include "router/access_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "router/limits.h"
#include "sys/fd.h"

namespace perigee::router {
namespace {

constexpr mode_t kMode = 0640;

// Bytes from outside may be no UTF-8.
bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\';
}

void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  while (!text.empty()) {
    const auto plain =
        static_cast<std::size_t>(std::ranges::find_if_not(text, is_plain) - text.begin());
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const char c = text.front();
    if (c == '"' || c == '\\') {
      out.append({'\\', c});
    } else {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
    }
    text.remove_prefix(1);
  }
  out.push_back('"');
}

// `name`: with its comma, quotes and colon.
void append_text(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out.append(name);
  append_json_string(out, value);
}

void append_number(std::string& out, std::string_view name, std::int64_t value) {
  out.append(name).append(std::to_string(value));
}

Result<void> append_to_file(const std::string& path, std::string_view data) {
  sys::Fd file;
  if (!path.empty()) {
    TRY(file, sys::own(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, kMode),
                       "open " + path));
  }
  const int fd = path.empty() ? STDERR_FILENO : file.get();
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "write " + path));
    data.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

void append_access_line(std::string& out, std::string_view at, const AccessRecord& record) {
  out.append("{\"at\":\"").append(at).append("\"");
  append_number(out, ",\"status\":", record.status);
  append_number(out, ",\"bytes\":", static_cast<std::int64_t>(record.bytes));
  append_number(out, ",\"duration_us\":", record.duration / 1us);
  append_number(out, ",\"upstream_us\":", record.upstream / 1us);
  append_number(out, ",\"attempts\":", record.attempts);
  append_number(out, ",\"http\":", record.http);
  out.append(record.tls ? ",\"tls\":true" : ",\"tls\":false");
  append_text(out, ",\"request_id\":", record.request_id);
  append_text(out, ",\"client\":", record.client);
  append_text(out, ",\"method\":", record.method);
  append_text(out, ",\"host\":", record.host);
  append_text(out, ",\"path\":", record.path);
  append_text(out, ",\"app\":", record.app);
  append_text(out, ",\"machine\":", record.machine);
  append_text(out, ",\"machine_node\":", record.machine_node);
  append_text(out, ",\"relay\":", record.relay);
  append_text(out, ",\"node\":", record.node);
  append_text(out, ",\"region\":", record.region);
  append_text(out, ",\"reason\":", record.reason);
  out.append("}\n");
}

// Most lines are of the last one's second: of the text only its milliseconds change.
std::string_view LogTime::text(WallTime time) {
  const std::int64_t ms = time.unix_ms();
  if (text_.empty() || ms / 1000 != second_ || ms < 0) {
    second_ = ms / 1000;
    text_ = to_rfc3339(time);
  } else {
    constexpr std::size_t kDigits = 3;
    const std::size_t at = text_.size() - kDigits - 1;  // before the Z
    std::int64_t left = ms % 1000;
    for (std::size_t i = kDigits; i-- > 0; left /= 10) {
      text_[at + i] = static_cast<char>('0' + left % 10);
    }
  }
  return text_;
}

AccessLog::AccessLog(sys::Host& host, std::string path, std::uint64_t& dropped)
    : host_(host), path_(std::move(path)), dropped_(dropped), flusher_(run(*this)) {
  flusher_.start();
}

void AccessLog::append(const AccessRecord& record) {
  if (queue_.size() >= kMaxLogQueue) {
    ++dropped_;
    return;
  }
  append_access_line(queue_, time_.text(record.at), record);
}

async::Task<void> AccessLog::flush() {
  if (queue_.empty()) co_return;
  std::string batch = std::exchange(queue_, {});
  struct Write {
    std::string path;
    std::string data;
    Result<void> operator()() const { return append_to_file(path, data); }
  };
  const auto written = co_await host_.pool.run(host_.loop, Write{path_, std::move(batch)});
  if (!written && !failing_) log_warning("router", "access log: {}", written.error().context);
  failing_ = !written;
}

async::Task<void> AccessLog::run(AccessLog& log) {
  for (;;) {
    co_await log.host_.loop.sleep(kLogPause);
    co_await log.flush();
  }
}

}  // namespace perigee::router
