#include "crypto/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/check.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/openssl_error.h"
#include "crypto/openssl_handles.h"
#include "crypto/session_tickets.h"
#include "crypto/tls_stream.h"

namespace perigee::crypto {
namespace {

using Context = Handle<SSL_CTX, SSL_CTX_free>;

constexpr std::size_t kMaxProtocolName = 255;
constexpr const char* kCiphers12 = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL";
constexpr const char* kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr std::size_t kMaxChain = 10;
constexpr std::string_view kAcmeProtocol = "acme-tls/1";
constexpr std::string_view kAcmeList =
    "\x0a"
    "acme-tls/1";  // as TLS has it

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Result<Context> make_context(const SSL_METHOD* method) {
  Context context(SSL_CTX_new(method));
  if (!context) return fail(openssl_error(Code::internal, "TLS context"));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_set_cipher_list(context.get(), kCiphers12) != 1 ||
      SSL_CTX_set_ciphersuites(context.get(), kCiphers13) != 1) {
    return fail(openssl_error(Code::internal, "TLS ciphers"));
  }
  return context;
}

// As TLS has it: each name behind its length.
std::string alpn_list(const Protocols& protocols) {
  std::string list;
  for (const std::string& name : protocols) {
    PERIGEE_CHECK(!name.empty() && name.size() <= kMaxProtocolName);
    list += static_cast<char>(name.size());
    list += name;
  }
  return list;
}

// The terms of a handshake that has some; they are gone when it is over.
const TlsTerms* terms_of(const SSL* ssl) {
  return static_cast<const TlsTerms*>(SSL_get_app_data(ssl));
}

// RFC 7301: the first of our list that is offered. `ours`: an alpn_list, where the handshake has no
// terms of its own.
int select_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                const unsigned char* offered, unsigned int offered_size, void* ours) {
  const TlsTerms* terms = terms_of(ssl);
  if (terms != nullptr && terms->alpn.empty()) return SSL_TLSEXT_ERR_NOACK;
  const std::string list =
      terms == nullptr ? *static_cast<const std::string*>(ours) : alpn_list(terms->alpn);
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, bytes(list), static_cast<unsigned int>(list.size()),
                            offered, offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  // `chosen` may point into `list`: the offered name of the same bytes stays.
  const std::string_view name(reinterpret_cast<const char*>(chosen), *out_size);
  const std::string_view all(reinterpret_cast<const char*>(offered), offered_size);
  *out = offered + all.find(name);
  return SSL_TLSEXT_ERR_OK;
}

// Of a ClientHello that is being read: an extension's content.
std::string_view extension_in_hello(SSL* ssl, unsigned int type) {
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, type, &data, &size) != 1) return {};
  return {reinterpret_cast<const char*>(data), size};
}

// RFC 8737, section 3: the one name of the list, behind the list's length.
bool offers_acme_alone(SSL* ssl) {
  const std::string_view alpn =
      extension_in_hello(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation);
  return alpn.size() == kAcmeList.size() + 2 && alpn.ends_with(kAcmeList);
}

// RFC 6066, section 3: the list's length, the name's type (0) and length, the name. Empty: none.
std::string_view name_in_hello(SSL* ssl) {
  constexpr std::size_t kBefore = 5;
  const std::string_view content = extension_in_hello(ssl, TLSEXT_TYPE_server_name);
  if (content.size() <= kBefore || content[2] != 0) return {};
  return content.substr(kBefore);
}

int select_acme(SSL*, const unsigned char** out, unsigned char* out_size,
                const unsigned char* offered, unsigned int offered_size, void*) {
  PERIGEE_CHECK(offered_size == kAcmeList.size());  // offers_acme_alone
  *out = offered + 1;
  *out_size = static_cast<unsigned char>(kAcmeProtocol.size());
  return SSL_TLSEXT_ERR_OK;
}

// The certificates after the leaf belong to it: a context has a chain for each kind of key.
Result<void> use_chain(SSL_CTX* context, std::string_view chain_pem) {
  const Bio bio = reader(chain_pem);
  const Certificate leaf(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) {
    return fail(openssl_error(Code::invalid_argument, "PEM certificate"));
  }
  for (std::size_t i = 0; i < kMaxChain; ++i) {
    const Certificate next(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!next) break;
    SSL_CTX_add1_chain_cert(context, next.get());
  }
  ERR_clear_error();  // the end of the text
  return {};
}

Result<void> use_key(SSL_CTX* context, std::string_view key_pem) {
  const Key key(PEM_read_bio_PrivateKey(reader(key_pem).get(), nullptr, no_passphrase, nullptr));
  // Just the certificate before: that of another kind of key stays.
  if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return fail(openssl_error(Code::invalid_argument, "PEM private key"));
  }
  return {};
}

Result<void> trust(SSL_CTX* context, std::string_view ca_pem) {
  if (ca_pem.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) == 1) return {};
    return fail(openssl_error(Code::internal, "the system's root certificates"));
  }
  const Bio bio = reader(ca_pem);
  std::size_t count = 0;
  for (;; ++count) {
    const Certificate root(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!root) break;
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root.get());
  }
  if (count == 0) return fail(openssl_error(Code::invalid_argument, "PEM of the trusted CA"));
  ERR_clear_error();
  return {};
}

// "*.example.com" of "www.example.com"; empty where it has no parent.
std::string parent_wildcard(const std::string& host) {
  const auto dot = host.find('.');
  return dot == std::string::npos ? std::string() : "*" + host.substr(dot);
}

class Server : public TlsServer {
 public:
  Server(Context base, const Protocols& protocols)
      : alpn_(alpn_list(protocols)), base_(std::move(base)) {
    SSL_CTX_set_alpn_select_cb(base_.get(), select_alpn, &alpn_);
    SSL_CTX_set_tlsext_servername_callback(base_.get(), choose);
    SSL_CTX_set_tlsext_servername_arg(base_.get(), this);
    SSL_CTX_set_client_hello_cb(base_.get(), look_for_acme, this);
  }

  Result<void> set_certificates(std::string_view host,
                                std::span<const KeyPair> certificates) override {
    PERIGEE_CHECK(!certificates.empty());
    TRY_AS(Context context, context_of(certificates), fmt::format("certificate of {}", host));
    SSL_CTX_set_alpn_select_cb(context.get(), select_alpn, &alpn_);
    if (!clients_ca_.empty()) TRY_VOID(trust(context.get(), clients_ca_));
    contexts_.insert_or_assign(to_lower(host), std::move(context));
    return {};
  }
  void remove_certificate(std::string_view host) override { contexts_.erase(to_lower(host)); }
  Result<void> set_validation(std::string_view host, const KeyPair& certificate) override {
    TRY_AS(Context context, context_of({&certificate, 1}), fmt::format("validation of {}", host));
    SSL_CTX_set_alpn_select_cb(context.get(), select_acme, nullptr);
    validations_.insert_or_assign(to_lower(host), std::move(context));
    return {};
  }
  void remove_validation(std::string_view host) override { validations_.erase(to_lower(host)); }
  // A resumed session would show yesterday's certificate: each connection shows its own.
  Result<void> ask_clients(std::string_view ca_pem) override {
    TRY_VOID(trust(base_.get(), ca_pem));
    clients_ca_ = ca_pem;
    SSL_CTX_set_verify(base_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_options(base_.get(), SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(base_.get(), 0);
    return {};
  }
  // OpenSSL asks the context that a connection began with, whichever its name chose.
  void set_ticket_keys(std::vector<TicketKey> keys) override {
    tickets_.set(std::move(keys));
    tickets_.serve(base_.get());
  }

  async::Task<Result<std::unique_ptr<sys::Stream>>> accept(
      std::unique_ptr<sys::Stream> stream) override {
    SslPtr ssl(SSL_new(base_.get()));
    if (!ssl) co_return fail(openssl_error(Code::resource_exhausted, "TLS connection"));
    SSL_set_accept_state(ssl.get());
    tickets_.attach(ssl.get());
    auto tls = std::make_unique<TlsStream>(std::move(ssl), std::move(stream));
    CO_TRY_VOID(co_await tls->handshake());
    CO_TRY_VOID(check_has_more(*tls));
    co_return std::move(tls);
  }

  async::Task<Result<std::unique_ptr<sys::Stream>>> accept_on(
      TlsTerms terms, std::unique_ptr<sys::Stream> stream) override {
    SslPtr ssl(SSL_new(base_.get()));
    if (!ssl) co_return fail(openssl_error(Code::resource_exhausted, "TLS connection"));
    SSL_set_accept_state(ssl.get());
    SSL_set_app_data(ssl.get(), &terms);
    SSL_set_min_proto_version(ssl.get(), terms.tls_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_set_max_proto_version(ssl.get(), terms.tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL* const raw = ssl.get();
    auto tls = std::make_unique<TlsStream>(std::move(ssl), std::move(stream));
    CO_TRY_VOID(co_await tls->handshake());
    SSL_set_app_data(raw, nullptr);
    CO_TRY_VOID(check_has_more(*tls));
    co_return std::move(tls);
  }

  static Result<Context> make_server_context() {
    TRY(Context context, make_context(TLS_server_method()));
    SSL_CTX_set_num_tickets(context.get(), 1);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);  // tickets only
    return context;
  }

 private:
  static Result<Context> context_of(std::span<const KeyPair> certificates) {
    TRY(Context context, make_server_context());
    for (const KeyPair& each : certificates) {
      TRY_VOID(use_chain(context.get(), each.certificate_pem));
      TRY_VOID(use_key(context.get(), each.private_key_pem));
    }
    return context;
  }

  // RFC 8737, section 3: nothing follows the handshake.
  static Result<void> check_has_more(const TlsStream& tls) {
    if (tls.agreed_protocol() != kAcmeProtocol) return {};
    return fail(Code::cancelled, "answered an authority about {}", tls.server_name());
  }

  // Before OpenSSL looks at anything else. An authority's handshake gets the certificate that it is
  // there for, whatever the host's is.
  static int look_for_acme(SSL* ssl, int*, void* self) {
    const auto& validations = static_cast<Server*>(self)->validations_;
    if (validations.empty() || !offers_acme_alone(ssl)) return SSL_CLIENT_HELLO_SUCCESS;
    const auto found = validations.find(to_lower(name_in_hello(ssl)));
    if (found != validations.end()) SSL_set_SSL_CTX(ssl, found->second.get());
    return SSL_CLIENT_HELLO_SUCCESS;
  }

  // Also called for clients that send no name.
  static int choose(SSL* ssl, int* alert, void* self) {
    const bool decided = SSL_get_SSL_CTX(ssl) != static_cast<Server*>(self)->base_.get();
    if (decided) return SSL_TLSEXT_ERR_OK;
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    std::string host = name == nullptr ? std::string() : to_lower(name);
    if (const TlsTerms* terms = terms_of(ssl); terms != nullptr && !terms->hosts.empty()) {
      const bool theirs = std::ranges::any_of(
          std::array{host, parent_wildcard(host)},
          [terms](const std::string& each) { return std::ranges::count(terms->hosts, each) > 0; });
      if (!theirs) host = terms->hosts.front();
    }
    SSL_CTX* context = host.empty() ? nullptr : static_cast<Server*>(self)->find(host);
    if (context == nullptr) {
      *alert = SSL_AD_UNRECOGNIZED_NAME;
      return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    SSL_set_SSL_CTX(ssl, context);  // takes a reference: the connection keeps its certificate
    return SSL_TLSEXT_ERR_OK;
  }

  // The host itself, else "*.parent".
  SSL_CTX* find(const std::string& host) {
    auto found = contexts_.find(host);
    if (found == contexts_.end()) found = contexts_.find(parent_wildcard(host));
    return found == contexts_.end() ? nullptr : found->second.get();
  }

  SessionTickets tickets_;
  std::string alpn_;  // its address is the contexts'
  Context base_;
  std::string clients_ca_;
  std::unordered_map<std::string, Context> contexts_;
  std::unordered_map<std::string, Context> validations_;
};

bool is_ip(const std::string& name) {
  std::array<unsigned char, 16> address{};
  return inet_pton(AF_INET, name.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
}

class Client : public TlsClient {
 public:
  explicit Client(Context context) : context_(std::move(context)) {}

  Result<void> identify_as(const KeyPair& identity) override {
    TRY_VOID_AS(use_chain(context_.get(), identity.certificate_pem), "client certificate");
    return use_key(context_.get(), identity.private_key_pem);
  }

  async::Task<Result<std::unique_ptr<sys::Stream>>> connect(std::unique_ptr<sys::Stream> stream,
                                                            std::string server_name) override {
    SslPtr ssl(SSL_new(context_.get()));
    if (!ssl) co_return fail(openssl_error(Code::resource_exhausted, "TLS connection"));
    SSL_set_connect_state(ssl.get());
    if (!expect_name(ssl.get(), server_name)) {
      co_return fail(openssl_error(Code::invalid_argument, "TLS server name " + server_name));
    }
    auto tls = std::make_unique<TlsStream>(std::move(ssl), std::move(stream));
    CO_TRY_VOID_AS(co_await tls->handshake(), "to " + server_name);
    co_return std::move(tls);
  }

 private:
  // RFC 6066: no SNI for addresses.
  static bool expect_name(SSL* ssl, const std::string& name) {
    if (is_ip(name)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1;
    return SSL_set_tlsext_host_name(ssl, name.c_str()) == 1 &&
           SSL_set1_host(ssl, name.c_str()) == 1;
  }

  Context context_;
};

}  // namespace

Result<void> TlsServer::set_certificate(std::string_view host, std::string_view chain_pem,
                                        std::string_view key_pem) {
  KeyPair pair{.certificate_pem = std::string(chain_pem), .private_key_pem = std::string(key_pem)};
  const Result<void> done = set_certificates(host, {&pair, 1});
  wipe(pair.private_key_pem);
  return done;
}

Result<std::unique_ptr<TlsServer>> TlsServer::create(const Protocols& protocols) {
  TRY(Context base, Server::make_server_context());
  return std::make_unique<Server>(std::move(base), protocols);
}

Result<std::unique_ptr<TlsClient>> TlsClient::create(std::string_view ca_pem, Verify verify,
                                                     const Protocols& protocols) {
  TRY(Context context, make_context(TLS_client_method()));
  TRY_VOID(trust(context.get(), ca_pem));
  const int mode = verify == Verify::yes ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
  SSL_CTX_set_verify(context.get(), mode, nullptr);
  const std::string alpn = alpn_list(protocols);
  SSL_CTX_set_alpn_protos(context.get(), bytes(alpn), static_cast<unsigned int>(alpn.size()));
  return std::make_unique<Client>(std::move(context));
}

std::optional<PeerIdentity> peer_identity(const sys::Stream& stream) {
  const auto* tls = dynamic_cast<const TlsStream*>(&stream);
  return tls == nullptr ? std::nullopt : tls->peer_identity();
}

std::string server_name(const sys::Stream& stream) {
  const auto* tls = dynamic_cast<const TlsStream*>(&stream);
  return tls == nullptr ? std::string() : tls->server_name();
}

std::string agreed_protocol(const sys::Stream& stream) {
  const auto* tls = dynamic_cast<const TlsStream*>(&stream);
  return tls == nullptr ? std::string() : tls->agreed_protocol();
}

bool certificate_covers(const sys::Stream& stream, const std::string& host) {
  const auto* tls = dynamic_cast<const TlsStream*>(&stream);
  return tls != nullptr && tls->certificate_covers(host);
}

}  // namespace perigee::crypto
