// ServerConnection: the server's side of a connection: its requests, many at once, to one Handler.
//
//   ServerConnection connection(context, {.stream = …, .ahead = …}, Counterpart::router);
//   co_await connection.run();      // until the client closes or is silent, or a drain is over
//
// The context's `draining` has it refuse what the client sends after it has been told. Routers are
// trusted with more than users, whose connections are watched: for slow heads, for readers that
// take nothing, for silence and idleness. Destroying it cancels its handlers.
// A user's extended CONNECT (RFC 8441) is a GET that asks for another protocol, as in HTTP/1.1.
#pragma once

#include <memory>
#include <string>

#include "async/task_group.h"
#include "http/codec.h"
#include "http/protocol.h"
#include "http2/connection.h"

namespace perigee::http2 {

enum class Counterpart { router, user };

class ServerConnection {
 public:
  // `refusals` outlives it; null: nobody counts.
  ServerConnection(http::ServerContext& context, http::Accepted accepted, Counterpart client,
                   Refusals* refusals = nullptr);

  async::Task<void> run();
  std::size_t streams() const { return connection_->streams(); }
  std::size_t unsent() const { return connection_->unsent(); }  // bytes of answers

 private:
  async::Task<void> accept_requests();
  async::Task<void> drain_when_told();
  async::Task<void> watch_router();
  async::Task<void> watch_user();
  async::Task<void> handle(StreamPtr stream, async::Semaphore::Permit permit);
  async::Task<void> answer(StreamPtr stream, http::RequestHead head);
  void refuse(StreamState& stream, http::Malformed why);
  bool misdirected(const http::RequestHead& head);

  http::ServerContext& context_;
  Counterpart client_;
  http::Security security_;
  Refusals* refusals_;
  std::shared_ptr<Connection> connection_;
  std::string covered_host_;  // the last that the certificate was found to cover
  async::Semaphore slots_;    // of handlers: as many as streams, whose clients may have gone
  async::TaskGroup tasks_;    // last: uses the others
};

}  // namespace perigee::http2
