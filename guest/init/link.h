// The carrier of the control channel: the virtio-serial port named perigee.control, or, on
// Firecracker, connections to a vsock port. Non-blocking. While no host is connected the serial
// port reports a hang-up at every poll, and a vsock has nothing to poll: init asks the kernel for
// SIGIO at the next change instead, so that it sleeps and does not spin.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "init/result.h"
#include "init/system.h"

namespace perigee::init {

class Link {
 public:
  // `carrier`: "virtio-serial" or "vsock" (perigee.carrier=). Waits up to two seconds for the port
  // to appear (the device announces its name by itself).
  static Result<Link> open(std::string_view carrier);

  int fd() const { return fd_.get(); }
  // Bytes read; 0: nothing now, or no host.
  std::size_t read(std::span<char> buffer);
  // Bytes taken; 0: full, or no host.
  std::size_t write(std::string_view bytes);

  // Whether a host is connected right now. A vsock connection that has ended is said once, then
  // the next one in the queue is taken: at most one host is served at a time.
  bool connected();
  // Asks for SIGIO at a change (or stops that). Check connected() after asking.
  void signal_changes(bool wanted);

 private:
  Link(Fd listener, Fd fd) : listener_(std::move(listener)), fd_(std::move(fd)) {}
  static Result<Link> open_port();
  static Result<Link> open_vsock();

  Fd listener_;  // of a vsock
  Fd fd_;        // the port, or the connection of a vsock, if any
};

}  // namespace perigee::init
