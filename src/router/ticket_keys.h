// Keys of TLS session tickets. Every router of a fleet makes the same ones of what it has for the
// keys of certificates, and others as time goes on; so nobody has to hand them out
// (docs/decisions/0032-session-tickets.md). Pure.
#pragma once

#include <vector>

#include "base/time.h"
#include "crypto/tls.h"
#include "secrets/key_ring.h"

namespace perigee::router {

inline constexpr Duration kTicketPeriod = 4h;  // a ticket is good for two hours (OpenSSL's default)

// At `now`: those of the period, then of the one before and of the next, which a router whose clock
// goes ahead has begun. Empty where `keys` are none.
std::vector<crypto::TicketKey> ticket_keys(const secrets::KindKeys& keys, WallTime now);

}  // namespace perigee::router
