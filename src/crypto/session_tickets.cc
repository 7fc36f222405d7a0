#include "crypto/session_tickets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/check.h"
#include "crypto/aead.h"

namespace perigee::crypto {
namespace {

// What OpenSSL's callback answers.
constexpr int kFailed = -1;
constexpr int kNone = 0;  // no ticket is given; the one that came is not ours
constexpr int kDone = 1;
constexpr int kDoneRenew = 2;  // and the client is given a newer one

const unsigned char* bytes(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Where a connection has its SessionTickets.
int slot() {
  static const int made = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return made;
}

bool use_mac_key(EVP_MAC_CTX* mac, const TicketKey& key) {
  std::string secret = key.mac;
  std::string digest = "SHA256";
  const std::array<OSSL_PARAM, 3> parameters{
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret.data(), secret.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  const bool done = EVP_MAC_CTX_set_params(mac, parameters.data()) == 1;
  wipe(secret);
  return done;
}

}  // namespace

void SessionTickets::set(std::vector<TicketKey> keys) {
  for (const TicketKey& key : keys) {
    PERIGEE_CHECK(key.name.size() == kTicketNameBytes && key.cipher.size() == kTicketKeyBytes &&
                  key.mac.size() == kTicketKeyBytes);
  }
  for (TicketKey& old : std::exchange(keys_, std::move(keys))) {
    wipe(old.cipher);
    wipe(old.mac);
  }
}

void SessionTickets::serve(SSL_CTX* context) {
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, handle);
}

void SessionTickets::attach(SSL* ssl) {
  SSL_set_ex_data(ssl, slot(), this);
}

int SessionTickets::handle(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                           EVP_MAC_CTX* mac, int sealing) {
  const auto* self = static_cast<const SessionTickets*>(SSL_get_ex_data(ssl, slot()));
  if (self == nullptr || self->keys_.empty()) return kNone;
  return sealing == 1 ? self->seal(ssl, name, iv, cipher, mac) : self->open(name, iv, cipher, mac);
}

int SessionTickets::seal(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                         EVP_MAC_CTX* mac) const {
  if (SSL_version(ssl) < TLS1_3_VERSION) return kNone;
  const TicketKey& key = keys_.front();
  const int iv_bytes = EVP_CIPHER_get_iv_length(EVP_aes_256_cbc());
  if (RAND_bytes(iv, iv_bytes) != 1) return kFailed;
  std::ranges::copy(key.name, name);
  if (EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), bytes(key.cipher), iv, nullptr) != 1)
    return kFailed;
  return use_mac_key(mac, key) ? kDone : kFailed;
}

int SessionTickets::open(const unsigned char* name, const unsigned char* iv, EVP_CIPHER_CTX* cipher,
                         EVP_MAC_CTX* mac) const {
  const auto key = std::ranges::find_if(keys_, [name](const TicketKey& each) {
    return std::equal(each.name.begin(), each.name.end(), reinterpret_cast<const char*>(name));
  });
  if (key == keys_.end()) return kNone;
  if (EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), bytes(key->cipher), iv, nullptr) != 1)
    return kFailed;
  if (!use_mac_key(mac, *key)) return kFailed;
  return key == keys_.begin() ? kDone : kDoneRenew;
}

}  // namespace perigee::crypto
