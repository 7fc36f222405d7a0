// TLS over any Stream (OpenSSL 3, seen by tls.cc alone), TLS 1.2 and 1.3.
//
// TlsServer holds the certificates by host name, several for one where their keys differ in kind,
// and may be updated at any time: running connections keep theirs, new handshakes see the new set.
// Between nodes both ends show a certificate of the fleet's CA (mutual TLS).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "crypto/certificate.h"
#include "sys/network.h"

namespace perigee::crypto {

inline constexpr std::size_t kTicketNameBytes = 16;
inline constexpr std::size_t kTicketKeyBytes = 32;
// What session tickets are sealed with. The name goes with the ticket in the clear.
struct TicketKey {
  std::string name;    // kTicketNameBytes
  std::string cipher;  // kTicketKeyBytes, AES-256-CBC
  std::string mac;     // kTicketKeyBytes, HMAC-SHA-256
  bool operator==(const TicketKey&) const = default;
};

// Names of application protocols (RFC 7301), the preferred one first.
using Protocols = std::vector<std::string>;

// What an accepted connection may agree on, where that is not the server's usual.
struct TlsTerms {
  // Whose certificates may be shown; that of the first to a client that asks for none of them, or
  // for no name.
  std::vector<std::string> hosts;
  // The first that the client offers, too, is agreed on; one that offers only others is refused.
  // Empty: none is agreed on, whatever is offered.
  Protocols alpn = {};
  bool tls_1_2 = true;
  bool tls_1_3 = true;
};

// Ends TLS on an accepted stream, once.
class TlsAcceptor {
 public:
  virtual ~TlsAcceptor() = default;
  virtual async::Task<Result<std::unique_ptr<sys::Stream>>> accept(
      std::unique_ptr<sys::Stream> stream) = 0;
};

class TlsServer : public TlsAcceptor {
 public:
  // A client that offers protocols, and none of these, is refused (alert no_application_protocol).
  static Result<std::unique_ptr<TlsServer>> create(const Protocols& protocols = {"http/1.1"});
  // PEM chains (leaf first) with their keys, one for each kind of key: a client is shown that whose
  // signatures it can check. They replace those of that host, "www.example.com" or "*.example.com".
  virtual Result<void> set_certificates(std::string_view host,
                                        std::span<const KeyPair> certificates) = 0;
  Result<void> set_certificate(std::string_view host, std::string_view chain_pem,
                               std::string_view key_pem);
  virtual void remove_certificate(std::string_view host) = 0;
  // What a client is shown that comes for acme-tls/1 (RFC 8737) at that host. Its handshake is all
  // that it gets: `accept` ends it with `cancelled`.
  virtual Result<void> set_validation(std::string_view host, const KeyPair& certificate) = 0;
  virtual void remove_validation(std::string_view host) = 0;
  // Of TLS 1.3: the first seals from now on, all open. Servers with the same keys go on with each
  // other's sessions. Until it is called a server's tickets are its own.
  virtual void set_ticket_keys(std::vector<TicketKey> keys) = 0;
  // From now on clients are asked for a certificate: one that is not of this CA ends the handshake,
  // none is let through, and `peer_identity` tells who it is. Before the certificates are set.
  virtual Result<void> ask_clients(std::string_view ca_pem) = 0;
  // Handshake on an accepted stream. A client without a known SNI name is refused (alert
  // unrecognized_name).
  async::Task<Result<std::unique_ptr<sys::Stream>>> accept(
      std::unique_ptr<sys::Stream> stream) override = 0;
  // The same on terms of its own.
  virtual async::Task<Result<std::unique_ptr<sys::Stream>>> accept_on(
      TlsTerms terms, std::unique_ptr<sys::Stream> stream) = 0;
};

class TlsClient {
 public:
  // Trusts `ca_pem` only, or the system's roots when empty; without verification, anybody.
  enum class Verify { no, yes };
  static Result<std::unique_ptr<TlsClient>> create(std::string_view ca_pem,
                                                   Verify verify = Verify::yes,
                                                   const Protocols& protocols = {"http/1.1"});
  virtual ~TlsClient() = default;
  // What new connections show a server that asks.
  virtual Result<void> identify_as(const KeyPair& identity) = 0;
  virtual async::Task<Result<std::unique_ptr<sys::Stream>>> connect(
      std::unique_ptr<sys::Stream> stream, std::string server_name) = 0;
};

// Whom the other end's certificate names; it was verified in the handshake.
struct PeerIdentity {
  std::string name;         // the subject's common name
  std::string fingerprint;  // as `fingerprint` gives it
  bool operator==(const PeerIdentity&) const = default;
};
// nullopt: no TLS, no certificate, or one that nobody verified.
std::optional<PeerIdentity> peer_identity(const sys::Stream& stream);

// The SNI name of a server-side TLS stream; empty for others.
std::string server_name(const sys::Stream& stream);

// What both sides agreed to speak; empty: no TLS, or one of them named no protocol.
std::string agreed_protocol(const sys::Stream& stream);

// Whether the certificate that this side showed is for `host` (RFC 9110 section 4.3.3). False
// without TLS.
bool certificate_covers(const sys::Stream& stream, const std::string& host);

}  // namespace perigee::crypto
