// Session tickets of TLS 1.3 (RFC 8446, 4.6.1) under keys that several servers share: a client goes
// on with its session at any of them. Private to crypto; TlsServer::set_ticket_keys.
//
// None for TLS 1.2: there a ticket's key opens what was said in the session (RFC 5077, 5), while
// 1.3's sessions begin with a key exchange of their own.
#pragma once

#include <vector>

#include "crypto/tls.h"

struct ssl_st;  // OpenSSL's
struct ssl_ctx_st;
struct evp_cipher_ctx_st;
struct evp_mac_ctx_st;

namespace perigee::crypto {

class SessionTickets {
 public:
  // The first key seals; all open.
  void set(std::vector<TicketKey> keys);
  // New connections of `context` are to use these, each after attach(). Outlives them all.
  void serve(ssl_ctx_st* context);
  void attach(ssl_st* ssl);

 private:
  static int handle(ssl_st* ssl, unsigned char* name, unsigned char* iv, evp_cipher_ctx_st* cipher,
                    evp_mac_ctx_st* mac, int sealing);
  int seal(ssl_st* ssl, unsigned char* name, unsigned char* iv, evp_cipher_ctx_st* cipher,
           evp_mac_ctx_st* mac) const;
  int open(const unsigned char* name, const unsigned char* iv, evp_cipher_ctx_st* cipher,
           evp_mac_ctx_st* mac) const;

  std::vector<TicketKey> keys_;
};

}  // namespace perigee::crypto
