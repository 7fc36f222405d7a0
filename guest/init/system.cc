#include "init/system.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace perigee::init {
namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20;

}  // namespace

std::string errno_text(int error) {
  const char* text = strerrordesc_np(error);
  return text != nullptr ? text : "error " + std::to_string(error);
}

std::unexpected<Failure> fail_errno(std::string_view thing, int error, std::string_view next) {
  std::string message(thing);
  message.append(": ").append(errno_text(error));
  if (!next.empty()) {
    message.append("; ").append(next);
  }
  return fail(std::move(message));
}

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

int Fd::release() {
  return std::exchange(fd_, -1);
}

void Fd::reset() {
  if (fd_ >= 0) {
    close(release());
  }
}

Result<std::string> read_file(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    return fail_errno(path, errno, "");
  }
  std::string content;
  char chunk[4096];
  while (content.size() < kMaxFile) {
    const ssize_t count = read(file.get(), chunk, sizeof chunk);
    if (count < 0) {
      return fail_errno(path, errno, "");
    }
    if (count == 0) {
      break;
    }
    content.append(chunk, static_cast<std::size_t>(count));
  }
  return content;
}

Status replace_file(const std::string& path, std::string_view content) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
  Fd file(open(path.c_str(), kFlags, 0644));
  if (!file && errno == ELOOP) {
    unlink(path.c_str());
    file = Fd(open(path.c_str(), kFlags, 0644));
  }
  if (!file) {
    return fail_errno(path, errno, "the image must leave this path a plain file");
  }
  while (!content.empty()) {
    const ssize_t count = write(file.get(), content.data(), content.size());
    if (count < 0) {
      return fail_errno(path, errno, "is the machine's disk full?");
    }
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Status make_directories(std::string_view path) {
  for (std::size_t end = 1; end != std::string_view::npos && end < path.size();) {
    end = path.find('/', end + 1);
    const std::string part(path.substr(0, end));
    if (mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) {
      return fail_errno(part, errno, "the directory can't be made; check the image");
    }
  }
  return {};
}

bool exists(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

std::int64_t monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

void sleep_ms(int ms) {
  const timespec pause{.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1'000'000L};
  nanosleep(&pause, nullptr);
}

void console_line(std::string_view text) {
  const Fd console(open("/dev/console", O_WRONLY | O_CLOEXEC | O_NOCTTY));
  std::string line("perigee-init: ");
  line.append(text).append("\n");
  if (console && write(console.get(), line.data(), line.size()) < 0) {
    return;  // there is nowhere left to say it
  }
}

}  // namespace perigee::init
