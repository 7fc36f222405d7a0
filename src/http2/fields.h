// Heads as HTTP/2 has them (RFC 9113 section 8.3): field lists that begin with pseudo-fields. Pure.
//
// Fields of one connection alone (Connection, Transfer-Encoding …) don't cross, but for a request's
// TE: trailers; Host travels as :authority; Cookie fields are joined again (section 8.2.3). What
// could not be written as HTTP/1.1, or could be read there in another way, is refused. nghttp2 has
// checked what section 8.2 says of fields and 8.1.1 of Content-Length.
#pragma once

#include <cstdint>
#include <optional>

#include "http/codec.h"
#include "http/message.h"

namespace perigee::http2 {

http::Headers request_fields(const http::RequestHead& head);
http::Headers response_fields(const http::ResponseHead& head);

http::Parsed<http::RequestHead> request_from(const http::Headers& fields);
http::Parsed<http::ResponseHead> response_from(const http::Headers& fields);
// Names as HTTP/2 has them, of fields that may stand behind a body: for both ways.
http::Headers trailer_fields(const http::Headers& trailers);
int status_of(const http::Headers& fields);  // 0: none that is valid

// Whether it is a call of gRPC, which may rest between its messages: by its Content-Type,
// application/grpc, application/grpc+proto … but not application/grpc-web.
bool is_grpc(const http::Headers& request);

// What Content-Length says; nullopt without one.
std::optional<std::uint64_t> content_length(const http::Headers& headers);

}  // namespace perigee::http2
