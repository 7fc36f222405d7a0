// The client's side of a connection: one request forwarded as a stream of its own.
//
//   auto response = co_await http2::forward(connection, head, body, deadline);
//
// The same shape and promises as http::Client::forward, so that a router's code is one: `sent` says
// whether the request can have been acted on, which it can't where it never left, or where the
// server refused its stream. A Response that is destroyed before its end cancels its stream.
#pragma once

#include <expected>
#include <memory>

#include "http/client.h"
#include "http2/connection.h"

namespace perigee::http2 {

using Forwarded = std::expected<std::unique_ptr<http::Response>, http::RequestFailure>;

// `deadline`: for the response's head; it moves with the progress of `body` (null: none), which the
// Response must not outlive.
async::Task<Forwarded> forward(std::shared_ptr<Connection> connection, http::RequestHead head,
                               http::Body* body, Deadline deadline);

}  // namespace perigee::http2
