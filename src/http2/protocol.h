// Protocol: HTTP/2 for the users of an http::Server, beside HTTP/1.1.
//
//   http2::Protocol http2(refusals);
//   http::Server server(host, handler, limits, &http2);     // TLS offers {"h2", "http/1.1"}
//
// Owned by whoever owns the server, and longer.
#pragma once

#include "http/protocol.h"
#include "http2/refusals.h"

namespace perigee::http2 {

class Protocol : public http::Protocol {
 public:
  // `refusals` counts for all connections and outlives them.
  explicit Protocol(Refusals& refusals) : refusals_(refusals) {}
  std::string_view alpn() const override { return "h2"; }
  std::string_view preface() const override { return "PRI * HTTP/2.0\r\n\r\n"; }
  async::Task<void> serve(http::ServerContext& context, http::Accepted connection) override;

 private:
  Refusals& refusals_;
};

}  // namespace perigee::http2
