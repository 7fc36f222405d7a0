// What OpenSSL's objects are held by, and PEM that is read from memory. Private to crypto.
#pragma once

#include <memory>
#include <string_view>

// OpenSSL's own names for BIO, EVP_PKEY and X509: its headers stay in the .cc files.
struct bio_st;
struct evp_pkey_st;
struct x509_st;

namespace perigee::crypto {

// Of any kind: Handle<BIGNUM, BN_free>.
template <auto Free>
struct OpensslFree {
  template <typename T>
  void operator()(T* thing) const {
    Free(thing);
  }
};
template <typename T, auto Free>
using Handle = std::unique_ptr<T, OpensslFree<Free>>;

struct UsualFree {
  void operator()(bio_st* bio) const;
  void operator()(evp_pkey_st* key) const;
  void operator()(x509_st* certificate) const;
};
using Bio = std::unique_ptr<bio_st, UsualFree>;
using Key = std::unique_ptr<evp_pkey_st, UsualFree>;
using Certificate = std::unique_ptr<x509_st, UsualFree>;

// `text` outlives it.
Bio reader(std::string_view text);

// For PEM_read_…: without it OpenSSL asks the terminal.
int no_passphrase(char* into, int size, int writing, void* data);

}  // namespace perigee::crypto
