#include "http2/protocol.h"

#include "http2/server.h"

namespace perigee::http2 {

async::Task<void> Protocol::serve(http::ServerContext& context, http::Accepted accepted) {
  ServerConnection connection(context, std::move(accepted), Counterpart::user, &refusals_);
  co_await connection.run();
}

}  // namespace perigee::http2
