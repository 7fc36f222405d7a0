// One request carried to another daemon, its answer carried back as it comes: feeds without end,
// blobs of gigabytes, and changes of protocol (exec).
#pragma once

#include <expected>
#include <string>

#include "http/client.h"
#include "http/message.h"
#include "sys/host.h"

namespace perigee::link {

// Where it goes: a Unix socket, or another node.
struct Destination {
  sys::Host& host;  // connects to it
  http::Client& client;
  sys::Address address;
};

struct Carried {
  http::RequestHead head;  // as it goes on: what is the connection's own removed
  std::string body;
};

// Takes a request whole. `resource_exhausted` where its body is beyond kMaxRelayedBody.
async::Task<Result<Carried>> take(http::Request& request);

// Whether another destination may be tried: nothing of an answer has been given.
struct RelayFailure {
  Error error;
  bool answered = false;
};

using Relayed = std::expected<void, RelayFailure>;

// Until the answer is through, or either end is gone. An answer that the other link gave in place
// of a daemon that it could not reach is a failure, not an answer.
async::Task<Relayed> relay(async::Loop& loop, Destination to, const Carried& request,
                           Duration patience, http::ResponseWriter& response);

}  // namespace perigee::link
