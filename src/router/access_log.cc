#include "router/access_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "router/limits.h"
#include "sys/fd.h"

namespace perigee::router {
namespace {

constexpr mode_t kMode = 0640;

void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20 || byte >= 0x7f) {  // bytes from outside may be no UTF-8
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  fmt::format_to(std::back_inserter(out), ",\"{}\":", name);
  append_json_string(out, value);
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

std::string access_line(const AccessRecord& record) {
  std::string out = fmt::format("{{\"at\":\"{}\",\"status\":{},\"bytes\":{},\"duration_us\":{}",
                                to_rfc3339(record.at), record.status, record.bytes,
                                record.duration.count() / 1000);
  fmt::format_to(std::back_inserter(out),
                 ",\"upstream_us\":{},\"attempts\":{},\"http\":{},\"tls\":{}",
                 record.upstream.count() / 1000, record.attempts, record.http, record.tls);
  append_member(out, "request_id", record.request_id);
  append_member(out, "client", record.client);
  append_member(out, "method", record.method);
  append_member(out, "host", record.host);
  append_member(out, "path", record.path);
  append_member(out, "app", record.app);
  append_member(out, "machine", record.machine);
  append_member(out, "machine_node", record.machine_node);
  append_member(out, "relay", record.relay);
  append_member(out, "node", record.node);
  append_member(out, "region", record.region);
  append_member(out, "reason", record.reason);
  out += "}\n";
  return out;
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
  queue_ += access_line(record);
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
