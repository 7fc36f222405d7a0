// Certificates: the node's own CA (ca.pem, ca.key in the state directory) and what it issues: one
// certificate per app, kept in the store. ACME comes later beside it.
#pragma once

#include <string>

#include "control/desired_table.h"
#include "crypto/certificate.h"
#include "sys/host.h"

namespace perigee::control {

class Certificates {
 public:
  // Reads the CA, or makes one where there is none (ca.pem is world-readable, ca.key is not).
  static async::Task<Result<std::unique_ptr<Certificates>>> open(sys::Host& host,
                                                                 std::string certificate_path,
                                                                 std::string key_path);
  Result<CertificateRecord> issue(const std::string& host_name) const;
  // Whether a stored one must be replaced: near its end, or signed by another CA.
  bool is_stale(const CertificateRecord& record) const;
  const std::string& ca_pem() const { return ca_.certificate_pem; }

 private:
  Certificates(sys::Host& host, crypto::KeyPair ca);
  sys::Host& host_;
  crypto::KeyPair ca_;
  std::string fingerprint_;
};

}  // namespace perigee::control
