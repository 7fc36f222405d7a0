#include "init/link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <string>

#include "channel/types.h"

namespace perigee::init {
namespace {

constexpr const char* kPorts = "/sys/class/virtio-ports";
constexpr int kPortWaitMs = 2000;

// "vport1p1", or nothing while the port is not there.
std::string find_port() {
  DIR* directory = opendir(kPorts);
  if (directory == nullptr) {
    return {};
  }
  std::string found;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    const auto label = read_file(std::string(kPorts) + "/" + name + "/name");
    if (label && *label == std::string(channel::kPortName) + "\n") {
      found = name;
      break;
    }
  }
  closedir(directory);
  return found;
}

}  // namespace

Result<Link> Link::open() {
  const std::int64_t deadline = monotonic_ms() + kPortWaitMs;
  std::string name = find_port();
  while (name.empty() && monotonic_ms() < deadline) {
    sleep_ms(1);
    name = find_port();
  }
  if (name.empty()) {
    return fail("control channel: no virtio-serial port named " + std::string(channel::kPortName) +
                "; give the VMM one");
  }
  const std::string path = "/dev/" + name;
  Fd fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) {
    return fail_errno("control channel " + path, errno, "");
  }
  fcntl(fd.get(), F_SETOWN, getpid());
  return Link(std::move(fd));
}

std::size_t Link::read(std::span<char> buffer) {
  const ssize_t count = ::read(fd_.get(), buffer.data(), buffer.size());
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

std::size_t Link::write(std::string_view bytes) {
  const ssize_t count = ::write(fd_.get(), bytes.data(), bytes.size());
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

bool Link::connected() const {
  pollfd state{fd_.get(), 0, 0};
  return poll(&state, 1, 0) >= 0 && (state.revents & POLLHUP) == 0;
}

void Link::signal_changes(bool wanted) {
  fcntl(fd_.get(), F_SETFL, O_RDWR | O_NONBLOCK | (wanted ? O_ASYNC : 0));
}

}  // namespace perigee::init
