// ServerConnection: the server's side of a connection: its requests, many at once, to one Handler.
//
//   ServerConnection connection(host, handler, std::move(stream), ahead);
//   co_await connection.run();      // until the client closes or is silent, or a drain is over
//
// Destroying it cancels its handlers. switch_protocols is not for HTTP/2.
#pragma once

#include <memory>
#include <string>

#include "async/task_group.h"
#include "http/message.h"
#include "http2/connection.h"
#include "sys/host.h"

namespace perigee::http2 {

class ServerConnection {
 public:
  // `ahead`: bytes that were read from the stream before.
  ServerConnection(sys::Host& host, http::Handler& handler, std::unique_ptr<sys::Stream> stream,
                   std::string ahead = {});

  async::Task<void> run();
  // Refuses requests that the client sends after it has been told; `run` ends with the last stream.
  void drain();
  std::size_t streams() const { return connection_->streams(); }

 private:
  async::Task<void> accept_requests();
  async::Task<void> watch_silence();
  async::Task<void> handle(StreamPtr stream);

  sys::Host& host_;
  http::Handler& handler_;
  std::string id_prefix_;
  std::uint32_t id_count_ = 0;
  std::shared_ptr<Connection> connection_;
  async::TaskGroup tasks_;  // last: uses the others
};

}  // namespace perigee::http2
