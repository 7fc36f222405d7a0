#include "crypto/tls_session.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "crypto/openssl_error.h"

namespace perigee::crypto {
namespace {

constexpr std::size_t kMaxWrite = 1 << 30;  // SSL_write takes an int
constexpr std::size_t kMaxCommonName = 64;  // RFC 5280: ub-common-name

}  // namespace

void SslFree::operator()(SSL* ssl) const {
  SSL_free(ssl);
}

// Made once, never freed: shared by all sessions of the process.
BIO_METHOD* TlsSession::method() {
  static BIO_METHOD* const made = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "perigee");
    PERIGEE_CHECK(m != nullptr);
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_ctrl(m, bio_control);
    return m;
  }();
  return made;
}

TlsSession::TlsSession(SslPtr ssl) : ssl_(std::move(ssl)) {
  BIO* bio = BIO_new(method());
  PERIGEE_CHECK(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);  // takes the one reference for both
}

int TlsSession::bio_read(BIO* bio, char* into, int size) {
  return static_cast<TlsSession*>(BIO_get_data(bio))->pull(bio, into, size);
}

int TlsSession::pull(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  const std::size_t n = std::min(static_cast<std::size_t>(size), incoming_.size() - consumed_);
  if (n == 0) {
    if (ended_) return 0;
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(into, incoming_.data() + consumed_, n);
  consumed_ += n;
  if (consumed_ == incoming_.size()) {
    std::string().swap(incoming_);
    consumed_ = 0;
  }
  return static_cast<int>(n);
}

int TlsSession::bio_write(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  static_cast<TlsSession*>(BIO_get_data(bio))
      ->outgoing_.append(from, static_cast<std::size_t>(size));
  return size;
}

long TlsSession::bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) {
    const auto* session = static_cast<const TlsSession*>(BIO_get_data(bio));
    return session->ended_ && session->incoming_.empty() ? 1 : 0;
  }
  return 0;
}

std::string TlsSession::take_outgoing() {
  return std::exchange(outgoing_, {});
}

Error TlsSession::failure(int result, std::string_view what) {
  failed_ = true;
  const int kind = SSL_get_error(ssl_.get(), result);
  const unsigned long number = ERR_peek_last_error();
  const bool cut =
      kind == SSL_ERROR_SYSCALL || ERR_GET_REASON(number) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  if (cut) {
    ERR_clear_error();
    return Error::make(Code::end_of_stream,
                       fmt::format("{}: the peer closed without close_notify", what));
  }
  return openssl_error(Code::invalid_argument, what);
}

Result<TlsSession::Progress> TlsSession::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return Progress::done;
  if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ) return Progress::needs_input;
  return fail(failure(result, "TLS handshake"));
}

Result<TlsSession::Read> TlsSession::read(std::span<char> into) {
  if (failed_) return fail(Code::data_loss, "TLS read: the connection has failed before");
  ERR_clear_error();
  std::size_t size = 0;
  const int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &size);
  if (result == 1) return Read{.progress = Progress::done, .size = size};
  const int kind = SSL_get_error(ssl_.get(), result);
  if (kind == SSL_ERROR_WANT_READ) return Read{.progress = Progress::needs_input};
  if (kind == SSL_ERROR_ZERO_RETURN) return Read{.progress = Progress::done, .size = 0};
  return fail(failure(result, "TLS read"));
}

Result<void> TlsSession::write(std::string_view data) {
  if (failed_) return fail(Code::data_loss, "TLS write: the connection has failed before");
  while (!data.empty()) {
    ERR_clear_error();
    std::size_t written = 0;
    const int result =
        SSL_write_ex(ssl_.get(), data.data(), std::min(data.size(), kMaxWrite), &written);
    if (result != 1) return fail(failure(result, "TLS write"));
    data.remove_prefix(written);
  }
  return {};
}

void TlsSession::close_notify() {
  if (failed_ || !SSL_is_init_finished(ssl_.get())) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

std::string TlsSession::server_name() const {
  const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? "" : name;
}

std::string TlsSession::agreed_protocol() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool TlsSession::certificate_covers(const std::string& host) const {
  X509* certificate = SSL_get_certificate(ssl_.get());
  return certificate != nullptr &&
         X509_check_host(certificate, host.data(), host.size(), 0, nullptr) == 1;
}

// Of a certificate that the handshake verified; a client's is asked for by SSL_VERIFY_PEER alone.
std::optional<PeerIdentity> TlsSession::peer_identity() const {
  const bool verifies = (SSL_get_verify_mode(ssl_.get()) & SSL_VERIFY_PEER) != 0;
  X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (!verifies || certificate == nullptr || SSL_get_verify_result(ssl_.get()) != X509_V_OK) {
    return std::nullopt;
  }
  std::array<char, kMaxCommonName + 1> name{};
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                             name.data(), static_cast<int>(name.size()));
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  unsigned int digest_size = digest.size();
  if (size <= 0 || X509_digest(certificate, EVP_sha256(), digest.data(), &digest_size) != 1) {
    return std::nullopt;
  }
  return PeerIdentity{.name = std::string(name.data(), static_cast<std::size_t>(size)),
                      .fingerprint = to_hex(digest)};
}

}  // namespace perigee::crypto
