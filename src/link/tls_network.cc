#include "link/tls_network.h"

#include "async/combine.h"

namespace perigee::link {

async::Task<Result<std::unique_ptr<sys::Stream>>> TlsNetwork::connect(sys::Address to,
                                                                      Deadline deadline) {
  CO_TRY(auto stream, co_await below_.connect(to, deadline));
  co_return co_await async::with_deadline(
      loop_, deadline, tls_.connect(std::move(stream), server_name_), "TLS handshake");
}

}  // namespace perigee::link
