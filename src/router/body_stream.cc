#include "router/body_stream.h"

#include <memory>

#include "async/combine.h"
#include "async/turn.h"
#include "router/forwarding.h"
#include "router/limits.h"

namespace perigee::router {

async::Task<Result<void>> stream_body(async::Loop& loop, http::Body& from, http::ResponseWriter& to,
                                      std::uint64_t& bytes, Duration idle) {
  const auto storage = std::make_unique_for_overwrite<char[]>(kPiece);
  const std::span<char> piece(storage.get(), kPiece);
  for (;;) {
    CO_TRY(const std::size_t count,
           co_await async::with_deadline(loop, loop.deadline_in(idle), from.read(piece),
                                         "upstream body"));
    if (count == 0) break;
    CO_TRY_VOID(co_await to.write(std::string_view(piece.data(), count)));
    bytes += count;
    if (async::turn_is_long(loop)) co_await loop.yield();
  }
  co_return co_await to.finish(forwarded_trailers(from.trailers()));
}

}  // namespace perigee::router
