// PrefixedStream: a stream some of whose first bytes have been read already. What remains of an
// HTTP connection when it changes to another protocol, and of one that was looked into to find out
// whose it is.
#pragma once

#include <memory>
#include <string>

#include "sys/network.h"

namespace perigee::http {

class PrefixedStream : public sys::Stream {
 public:
  // `inner` outlives this.
  PrefixedStream(std::string prefix, sys::Stream& inner)
      : prefix_(std::move(prefix)), inner_(inner) {}
  PrefixedStream(std::string prefix, std::unique_ptr<sys::Stream> inner)
      : prefix_(std::move(prefix)), owned_(std::move(inner)), inner_(*owned_) {}

  async::Task<Result<std::size_t>> read(std::span<char> into) override;
  async::Task<Result<void>> write(std::string_view data) override { return inner_.write(data); }
  Result<std::optional<std::size_t>> try_read(std::span<char> into) override;
  void when_readable(async::Waiter& waiter) override;
  Result<void> shutdown_write() override { return inner_.shutdown_write(); }
  sys::Address peer() const override { return inner_.peer(); }
  sys::Address local() const override { return inner_.local(); }

 private:
  std::size_t take(std::span<char> into);

  std::string prefix_;
  std::unique_ptr<sys::Stream> owned_;
  sys::Stream& inner_;
};

}  // namespace perigee::http
