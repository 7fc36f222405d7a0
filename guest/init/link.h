// The carrier of the control channel: the virtio-serial port named perigee.control. Non-blocking.
// While no host is connected the port reports a hang-up at every poll; hup() then asks the kernel
// for SIGIO at the next change, so that init sleeps instead of spinning.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "init/result.h"
#include "init/system.h"

namespace perigee::init {

class Link {
 public:
  // Waits up to two seconds for the port to appear (the device announces its name by itself).
  static Result<Link> open();

  int fd() const { return fd_.get(); }
  // Bytes read; 0: nothing now, or no host.
  std::size_t read(std::span<char> buffer);
  // Bytes taken; 0: full, or no host.
  std::size_t write(std::string_view bytes);

  // Whether a host is connected right now.
  bool connected() const;
  // Asks for SIGIO at a change (or stops that). Check connected() after asking.
  void signal_changes(bool wanted);

 private:
  explicit Link(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace perigee::init
