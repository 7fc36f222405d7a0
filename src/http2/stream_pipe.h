// StreamPipe: one stream of a connection as a sys::Stream: what remains of a request that has
// changed to another protocol (RFC 8441). Private to http2; valid while the request's handler runs.
#pragma once

#include <memory>

#include "http2/connection.h"

namespace perigee::http2 {

class StreamPipe : public sys::Stream {
 public:
  StreamPipe(Connection& connection, StreamPtr stream)
      : connection_(connection), stream_(std::move(stream)) {}

  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    return connection_.read(stream_, into);
  }
  Result<std::optional<std::size_t>> try_read(std::span<char> into) override {
    return connection_.try_read(*stream_, into);
  }
  void when_readable(async::Waiter& waiter) override {
    Connection::when_readable(*stream_, waiter);
  }
  async::Task<Result<void>> write(std::string_view data) override {
    return connection_.write(stream_, data);
  }
  Result<void> shutdown_write() override {
    connection_.finish(*stream_, {});
    ended_ = true;
    return {};
  }
  sys::Address peer() const override { return connection_.peer(); }
  sys::Address local() const override { return connection_.local(); }
  bool ended() const { return ended_; }  // our side

 private:
  Connection& connection_;
  StreamPtr stream_;
  bool ended_ = false;
};

}  // namespace perigee::http2
