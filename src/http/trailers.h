// Trailer fields (RFC 9110 section 6.5): what may stand behind a body, and the end of a chunked
// body with them. Pure.
//
// A Body has them once its end was read (Body::trailers), a response ends with them
// (ResponseWriter::finish). They are kept apart from the head's fields and never merged into them.
// Fields that say how a message is framed, routed, authenticated or read come too late there: they
// are dropped on the way in and on the way out.
#pragma once

#include <string>
#include <string_view>

#include "http/message.h"

namespace perigee::http {

bool may_trail(std::string_view name);

// Whether the sender of this head wants trailers (section 10.1.4).
bool takes_trailers(const Headers& request);

// The last chunk, and after it those of `trailers` that may stand there and can be read back.
std::string last_chunk(const Headers& trailers);

}  // namespace perigee::http
