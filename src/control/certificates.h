// Certificates: the node's own CA (ca.pem and, sealed, ca.key in the state directory) and what it
// issues: one certificate per app, kept in the store with its key sealed. ACME comes later beside
// it.
#pragma once

#include <memory>
#include <string>

#include "control/desired_table.h"
#include "crypto/certificate.h"
#include "secrets/key_file.h"
#include "sys/host.h"

namespace perigee::control {

class Certificates {
 public:
  // Reads the CA, or makes one where there is none. A key that an earlier version left in the clear
  // is sealed.
  static async::Task<Result<std::unique_ptr<Certificates>>> open(sys::Host& host,
                                                                 secrets::KeyFile& keys,
                                                                 std::string certificate_path,
                                                                 std::string key_path);
  ~Certificates();
  Result<CertificateRecord> issue(const std::string& host_name) const;
  // Whether a stored one must be replaced: near its end, signed by another CA, or without a key.
  bool is_stale(const CertificateRecord& record) const;
  const std::string& ca_pem() const { return ca_.certificate_pem; }

  // Of the CA, as it is on disk.
  const std::string& sealed_key() const { return sealed_key_; }
  // Writes it sealed with the ring's primary key.
  async::Task<Result<void>> seal_key_anew();

  static secrets::Place place_of(std::string_view host_name);

 private:
  Certificates(sys::Host& host, secrets::KeyFile& keys, std::string key_path, crypto::KeyPair ca,
               std::string sealed_key);
  sys::Host& host_;
  secrets::KeyFile& keys_;
  std::string key_path_;
  crypto::KeyPair ca_;
  std::string sealed_key_;
  std::string fingerprint_;
};

}  // namespace perigee::control
