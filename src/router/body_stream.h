// A response's body from where it comes to where it goes, piece by piece, within the time that
// either may take.
#pragma once

#include <cstdint>

#include "async/loop.h"
#include "http/message.h"

namespace perigee::router {

// To the end and with its trailers, finishing the response. On failure the response is not
// finished, and so cut: nobody may take it for whole. Counts into `bytes`. `idle`: how long it may
// be silent between two pieces.
async::Task<Result<void>> stream_body(async::Loop& loop, http::Body& from, http::ResponseWriter& to,
                                      std::uint64_t& bytes, Duration idle);

}  // namespace perigee::router
