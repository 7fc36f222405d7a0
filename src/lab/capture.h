// Capture: what goes between the cities, written to a file while it is delivered. Bounded
// (limits.h); a file that is full or can't be written ends the capture, and says so once asked.
//
// One owner, one thread. Writes block for as long as the page cache takes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "sys/fd.h"

namespace perigee::lab {

class Capture {
 public:
  bool running() const { return file_.valid(); }
  // Replaces a file that is there, and ends a capture that runs.
  Result<void> begin(const std::string& path);
  // What went wrong meanwhile, if anything did. Nothing to end is fine.
  Result<void> end();
  void record(WallTime time, std::string_view frame);

 private:
  void write(std::string_view bytes);

  sys::Fd file_;
  std::string path_;
  std::uint64_t bytes_ = 0;
  Result<void> result_;
};

}  // namespace perigee::lab
