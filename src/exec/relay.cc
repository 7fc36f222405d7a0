#include "exec/relay.h"

#include <string>

#include "async/combine.h"
#include "exec/limits.h"

namespace perigee::exec {
namespace {

// Returns when the client is gone. A server that takes no more may still have last words.
async::Task<void> carry_up(async::Loop& loop, sys::Stream& client, sys::Stream& server) {
  std::string buffer(kMaxChunk, '\0');
  bool taken = true;
  for (;;) {
    const auto n = co_await client.read(buffer);
    if (!n || *n == 0) co_return;
    if (taken) {
      taken = (co_await server.write(std::string_view(buffer).substr(0, *n))).has_value();
    } else {
      co_await loop.yield();
    }
  }
}

async::Task<void> carry_down(sys::Stream& client, sys::Stream& server) {
  std::string buffer(kMaxChunk, '\0');
  for (;;) {
    const auto n = co_await server.read(buffer);
    if (!n || *n == 0) co_return;
    if (!co_await client.write(std::string_view(buffer).substr(0, *n))) co_return;
  }
}

}  // namespace

async::Task<void> relay(async::Loop& loop, sys::Stream& client, sys::Stream& server) {
  co_await async::first_of(loop, carry_up(loop, client, server), carry_down(client, server));
}

}  // namespace perigee::exec
