#include "monitor/console_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>

#include "base/text.h"
#include "vm/spec.h"

namespace perigee::monitor {
namespace {

constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
constexpr mode_t kMode = 0600;
constexpr std::size_t kTail = 2048;
constexpr std::size_t kMaxLastLine = 200;

std::string path_of(const std::string& directory, std::string_view name) {
  return fmt::format("{}/{}", directory, name);
}

}  // namespace

Result<ConsoleLog> ConsoleLog::open(std::string directory, std::size_t max_bytes) {
  ConsoleLog log(std::move(directory), max_bytes);
  const std::string path = path_of(log.directory_, vm::kConsoleLog);
  TRY(log.file_, sys::own(::open(path.c_str(), kFlags, kMode), "open " + path));
  struct stat info{};
  if (::fstat(log.file_.get(), &info) == 0) log.size_ = static_cast<std::size_t>(info.st_size);
  return log;
}

void ConsoleLog::append(std::string_view bytes) {
  tail_ += bytes;
  if (tail_.size() > kTail) tail_.erase(0, tail_.size() - kTail);
  if (size_ >= max_bytes_) rotate();
  const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
  if (n > 0) size_ += static_cast<std::size_t>(n);
}

void ConsoleLog::rotate() {
  const std::string path = path_of(directory_, vm::kConsoleLog);
  const std::string fresh = path + ".new";
  sys::Fd file(::open(fresh.c_str(), kFlags | O_TRUNC, kMode));
  if (!file.valid()) return;
  const std::string old = path_of(directory_, vm::kOldConsoleLog);
  if (::rename(path.c_str(), old.c_str()) < 0 || ::rename(fresh.c_str(), path.c_str()) < 0) return;
  file_ = std::move(file);
  size_ = 0;
}

std::string ConsoleLog::last_line() const {
  const auto lines = split(tail_, '\n');
  for (auto it = lines.rbegin(); it != lines.rend(); ++it) {
    const std::string_view line = trim(*it);
    const auto letters = std::ranges::count_if(
        line, [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; });
    if (letters > 2) return std::string(line.substr(0, kMaxLastLine));
  }
  return {};
}

}  // namespace perigee::monitor
