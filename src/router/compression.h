// Whether a response is compressed on its way to the client, and what its head says then (RFC 9110
// section 12.5.3). Pure; gzip.h does it.
//
// Only where the app asks for it (http_options.compress), the client takes gzip, and it is worth
// it: not what is encoded already, a part, small, of a type that does not shrink, or must not be
// changed (no-transform, a digest of the body). Streams that rest, such as text/event-stream, are
// not: each would hold the compressor's memory for as long.
#pragma once

#include <cstdint>
#include <optional>

#include "http/message.h"

namespace perigee::router {

// Whether gzip is what the client would rather have.
bool takes_gzip(const http::Headers& request);
// `length`: of the body, where it is known.
bool is_compressible(const http::RequestHead& request, const http::ResponseHead& response,
                     std::optional<std::uint64_t> length);
// A cache must not give one client what another asked for.
void vary_by_encoding(http::Headers& response);
// Content-Encoding, no length, a weak validator: other bytes for the same content.
void mark_as_gzip(http::Headers& response);

}  // namespace perigee::router
