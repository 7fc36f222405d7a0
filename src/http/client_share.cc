#include "http/client_share.h"

#include "http/client_network.h"

namespace perigee::http {

async::ShareId client_share(const async::Loop& loop, const sys::Address& client) {
  if (client.is_unix()) return async::kOwnShare;
  // Where the loop lies differs from run to run.
  const auto salt = reinterpret_cast<std::uintptr_t>(&loop);
  return async::Shares::of(hash_of(client_network(client), salt));
}

}  // namespace perigee::http
