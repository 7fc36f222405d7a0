// FileBody: a file as the body of a message, read in chunks on the thread pool.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "http/message.h"
#include "sys/fd.h"
#include "sys/host.h"

namespace perigee::http {

class FileBody : public Body {
 public:
  // `on_read` is told after each read how far it has come; it may be empty.
  static Result<std::unique_ptr<FileBody>> open(sys::Host& host, const std::string& path,
                                                std::function<void(std::uint64_t)> on_read);
  async::Task<Result<std::size_t>> read(std::span<char> into) override;
  std::optional<std::uint64_t> length() const override { return size_; }

 private:
  FileBody(sys::Host& host, sys::Fd fd, std::uint64_t size,
           std::function<void(std::uint64_t)> on_read)
      : host_(host),
        fd_(std::make_shared<sys::Fd>(std::move(fd))),
        size_(size),
        on_read_(std::move(on_read)) {}

  sys::Host& host_;
  std::shared_ptr<sys::Fd> fd_;  // shared with the pool, which may outlive a cancelled read
  std::uint64_t size_;
  std::uint64_t done_ = 0;
  std::function<void(std::uint64_t)> on_read_;
};

}  // namespace perigee::http
