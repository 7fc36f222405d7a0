// OutputWriter: the writing end of a VM's output log (vm/output_log.h, docs/formats/output-log.md).
// What the guest sends is on file, line by line, before it is acknowledged, so a monitor's death
// loses nothing.
//
// A full disk never stops the VM: what can't be written is dropped and counted, and the count is
// put into the log as soon as there is room. Calls block for a write(2) into the page cache.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"
#include "vm/output_log.h"

namespace perigee::monitor {

class OutputWriter {
 public:
  // `max_bytes`: a log that has grown beyond it becomes the old log.
  static Result<OutputWriter> open(std::string directory,
                                   std::size_t max_bytes = vm::kMaxOutputLog);

  // One Output of the guest. A chunk that is on file already (sent again after a reconnection) is
  // ignored. Returns the bytes that it has become on file.
  std::size_t chunk(std::uint64_t number, vm::LogStream stream, WallTime at,
                    std::string_view bytes);
  // A line of the monitor's own.
  void say(WallTime at, std::string_view message);

  // The last chunk that is on file whole; from the file itself after open().
  std::uint64_t received() const { return received_; }
  // A new boot: the guest counts from 1 again.
  void forget_chunks() { received_ = 0; }
  std::uint64_t dropped_bytes() const { return dropped_bytes_; }

 private:
  OutputWriter(std::string directory, std::size_t max_bytes)
      : directory_(std::move(directory)), max_bytes_(max_bytes) {}
  Result<void> recover();
  void take_up(std::string_view text);
  bool append(std::string_view records);
  void rotate();
  void confess(WallTime at);

  std::string directory_;
  std::size_t max_bytes_;
  sys::Fd file_;
  std::size_t size_ = 0;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t received_ = 0;
  std::uint64_t dropped_bytes_ = 0;
  std::uint64_t unconfessed_bytes_ = 0;
};

}  // namespace perigee::monitor
