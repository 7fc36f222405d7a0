// TLS that the router does not end: at the https listeners, which all apps share, a connection
// whose name belongs to an app that has port 443 without the http handler is the app's as it is
// (docs/services.md). The name is read off the client's first message; whoever says nothing that
// can be read is left to the listener's own TLS, which answers with the right alert.
#pragma once

#include <memory>

#include "router/state.h"
#include "router/tcp_proxy.h"
#include "sys/host.h"

namespace perigee::router {

// The connection, with nothing of it missing; null: it went to its app, or has ended.
async::Task<std::unique_ptr<sys::Stream>> past_passages(sys::Host& host, const State& state,
                                                        TcpProxy& tcp,
                                                        std::unique_ptr<sys::Stream> stream);

}  // namespace perigee::router
