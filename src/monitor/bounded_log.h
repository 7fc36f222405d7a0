// BoundedLog: what somebody else writes as it comes, in a file of the VM's directory, and in a
// second one that holds what came before once the first was full: the guest's serial console (its
// kernel's last words), the VMM's own complaints. What a full disk refuses is dropped.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "sys/fd.h"

namespace perigee::monitor {

inline constexpr std::size_t kMaxBoundedLog = std::size_t{256} * 1024;  // of each of the two files

class BoundedLog {
 public:
  // Appends to what is there.
  static Result<BoundedLog> open(std::string path, std::string old_path,
                                 std::size_t max_bytes = kMaxBoundedLog);

  void append(std::string_view bytes);
  // The last line with letters in it, cut to a sensible length; "" when there was none.
  std::string last_line() const;

 private:
  BoundedLog(std::string path, std::string old_path, std::size_t max_bytes)
      : path_(std::move(path)), old_path_(std::move(old_path)), max_bytes_(max_bytes) {}
  void rotate();

  std::string path_;
  std::string old_path_;
  std::size_t max_bytes_;
  sys::Fd file_;
  std::size_t size_ = 0;
  std::string tail_;
};

}  // namespace perigee::monitor
