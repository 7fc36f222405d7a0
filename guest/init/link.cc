#include "init/link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "channel/types.h"

namespace perigee::init {
namespace {

constexpr const char* kPorts = "/sys/class/virtio-ports";
constexpr int kPortWaitMs = 2000;
constexpr int kBacklog = 4;  // hosts that wait for the one before them to be gone
constexpr short kGone = POLLHUP | POLLRDHUP | POLLERR | POLLNVAL;

short state_of(const Fd& fd, short wanted) {
  pollfd state{fd.get(), wanted, 0};
  return poll(&state, 1, 0) < 0 ? POLLERR : state.revents;
}

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

Result<Link> Link::open(std::string_view carrier) {
  if (carrier == "virtio-serial") {
    return open_port();
  }
  if (carrier == "vsock") {
    return open_vsock();
  }
  return fail("control channel: perigee.carrier=" + std::string(carrier) +
              " on the kernel's command line is neither virtio-serial nor vsock");
}

Result<Link> Link::open_port() {
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
  return Link(Fd(), std::move(fd));
}

Result<Link> Link::open_vsock() {
  const std::string what = "control channel: vsock port " + std::to_string(channel::kVsockPort);
  Fd listener(socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener) {
    return fail_errno(what, errno, "give the VMM a vsock device");
  }
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = channel::kVsockPort;
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener.get(), kBacklog) != 0) {
    return fail_errno(what, errno, "");
  }
  fcntl(listener.get(), F_SETOWN, getpid());
  return Link(std::move(listener), Fd());
}

std::size_t Link::read(std::span<char> buffer) {
  const ssize_t count = ::read(fd_.get(), buffer.data(), buffer.size());
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

std::size_t Link::write(std::string_view bytes) {
  const ssize_t count = ::write(fd_.get(), bytes.data(), bytes.size());
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

bool Link::connected() {
  if (!listener_) {
    return (state_of(fd_, 0) & POLLHUP) == 0;
  }
  if (!fd_) {
    fd_ = Fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    return static_cast<bool>(fd_);
  }
  if ((state_of(fd_, POLLRDHUP) & kGone) != 0) {
    fd_.reset();
  }
  return static_cast<bool>(fd_);
}

void Link::signal_changes(bool wanted) {
  const Fd& changing = listener_ ? listener_ : fd_;
  fcntl(changing.get(), F_SETFL, O_RDWR | O_NONBLOCK | (wanted ? O_ASYNC : 0));
}

}  // namespace perigee::init
