// Affinity: how a client's next request finds the machine that its former one had, where the app
// asks for it (http_options.affinity). A preference: where that machine can't serve, another does.
//
// By cookie: the router gives out one with the machine's id, and prefers the machine that it names.
// By header: the value itself stands for a machine (routing::Wish::key), at every router the same,
// and nothing is given out. Pure.
#pragma once

#include <optional>
#include <string>

#include "http/message.h"
#include "model/port.h"
#include "routing/wish.h"

namespace perigee::router {

// Nothing where the request itself names a machine or regions.
void prefer_former(const model::Affinity& affinity, const http::RequestHead& request,
                   routing::Wish& wish);

enum class CookieScope { any, tls_only };
// The Set-Cookie that tells the client of its machine; nullopt: it knows, or it is not to be told.
std::optional<std::string> affinity_cookie(const model::Affinity& affinity,
                                           const http::RequestHead& request,
                                           const std::string& machine, CookieScope scope);

}  // namespace perigee::router
