#include "monitor/bounded_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>

#include "base/text.h"

namespace perigee::monitor {
namespace {

constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
constexpr mode_t kMode = 0600;
constexpr std::size_t kTail = 2048;
constexpr std::size_t kMaxLastLine = 200;

}  // namespace

Result<BoundedLog> BoundedLog::open(std::string path, std::string old_path, std::size_t max_bytes) {
  BoundedLog log(std::move(path), std::move(old_path), max_bytes);
  TRY(log.file_, sys::own(::open(log.path_.c_str(), kFlags, kMode), "open " + log.path_));
  struct stat info{};
  if (::fstat(log.file_.get(), &info) == 0) log.size_ = static_cast<std::size_t>(info.st_size);
  return log;
}

void BoundedLog::append(std::string_view bytes) {
  tail_ += bytes;
  if (tail_.size() > kTail) tail_.erase(0, tail_.size() - kTail);
  if (size_ >= max_bytes_) rotate();
  const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
  if (n > 0) size_ += static_cast<std::size_t>(n);
}

// On failure (no inode left) the log grows on.
void BoundedLog::rotate() {
  const std::string fresh = path_ + ".new";
  sys::Fd file(::open(fresh.c_str(), kFlags | O_TRUNC, kMode));
  if (!file.valid()) return;
  if (::rename(path_.c_str(), old_path_.c_str()) < 0) return;
  if (::rename(fresh.c_str(), path_.c_str()) < 0) return;
  file_ = std::move(file);
  size_ = 0;
}

std::string BoundedLog::last_line() const {
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
