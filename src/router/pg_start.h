// How a PostgreSQL client begins a connection (PostgreSQL's documentation, "Message Formats"):
// TLS is asked for with a message in the clear, which the handler pg_tls answers, so that the app
// behind it needs none. Without I/O.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace perigee::router {

// A request for encryption has this size, and others are told apart within it.
inline constexpr std::size_t kPgStartBytes = 8;

enum class PgStart {
  more,    // bytes are needed
  tls,     // SSLRequest: answered by 'S', then TLS begins
  gss,     // GSSENCRequest: answered by 'N', then it asks for something else
  direct,  // TLS begins at once (PostgreSQL 17, sslnegotiation=direct)
  cancel,  // CancelRequest: libpq sends it without TLS; it goes to the app as it is
  plain,   // a session without TLS
  malformed,
};
// `bytes`: the first kPgStartBytes, or those of them that are there.
PgStart pg_start(std::string_view bytes);

inline constexpr char kPgTlsAccepted = 'S';
inline constexpr char kPgGssRefused = 'N';
// An ErrorResponse that ends the connection: what psql prints.
std::string pg_refusal(std::string_view sentence);

}  // namespace perigee::router
