#include "crypto/openssl_handles.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

namespace perigee::crypto {

void UsualFree::operator()(bio_st* bio) const {
  BIO_free(bio);
}
void UsualFree::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}
void UsualFree::operator()(x509_st* certificate) const {
  X509_free(certificate);
}

Bio reader(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

int no_passphrase(char*, int, int, void*) {
  return 0;
}

}  // namespace perigee::crypto
