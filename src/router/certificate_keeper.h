// CertificateKeeper: has the TLS server know the certificates of the routes, and what it shows an
// authority that asks by acme-tls/1 whose a host is (made here: the routes have the answer alone).
//
// Their keys come sealed, by the feed and from disk; the router holds what opens keys of
// certificates and nothing else. A key that is sealed with one it does not have (the ring was
// rotated) waits until control has told the new ones; the certificate that was there stays
// meanwhile. Session tickets are sealed with keys that follow from the same ones. The router's
// loop.
#pragma once

#include <map>
#include <string>

#include "async/event.h"
#include "crypto/tls.h"
#include "http/client.h"
#include "routing/route_table.h"
#include "secrets/key_ring.h"
#include "sys/host.h"

namespace perigee::router {

class CertificateKeeper {
 public:
  // `control`: control.sock.
  CertificateKeeper(sys::Host& host, sys::Address control, secrets::KindKeys keys,
                    crypto::TlsServer& tls);

  // Installs what changed, and removes what is of hosts that are gone.
  void update(const routing::RouteTable& before, const routing::RouteTable& after);
  // Asks control for keys whenever some are missing; for ever.
  async::Task<void> run();
  // Has session tickets sealed with the keys of the time (ticket_keys.h); for ever.
  async::Task<void> change_ticket_keys();

 private:
  void give_up(const model::AppRoute& old, const routing::RoutePtr& now);
  void install(const routing::RoutePtr& route);
  void install_validations(const model::AppRoute& route);
  Result<void> validate(const model::RouteChallenge& challenge);
  async::Task<Result<void>> fetch_keys();

  sys::Host& host_;
  sys::Address control_;
  secrets::KindKeys keys_;
  crypto::TlsServer& tls_;
  http::Client client_;
  std::map<std::string, routing::RoutePtr> waiting_;  // by app, for keys
  async::Notify awaited_;
};

}  // namespace perigee::router
