#include "lab/capture.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "lab/limits.h"
#include "lab/pcap.h"

namespace perigee::lab {

Result<void> Capture::begin(const std::string& path) {
  result_ = {};
  bytes_ = 0;
  path_ = path;
  TRY(file_, sys::own(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
                      "capture into " + path));
  write(pcap_header());
  return result_;
}

Result<void> Capture::end() {
  file_.reset();
  return std::exchange(result_, {});
}

void Capture::record(WallTime time, std::string_view frame) {
  if (!running()) return;
  if (bytes_ + frame.size() > kMaxCaptureBytes) {
    result_ = fail(Code::resource_exhausted, "capture into {}: full at {} bytes", path_, bytes_);
    file_.reset();
    return;
  }
  write(pcap_record(time, frame));
}

void Capture::write(std::string_view bytes) {
  const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
  if (n == static_cast<ssize_t>(bytes.size())) {
    bytes_ += bytes.size();
    return;
  }
  result_ = fail(errno_error(n < 0 ? errno : ENOSPC, "capture into " + path_));
  file_.reset();
}

}  // namespace perigee::lab
