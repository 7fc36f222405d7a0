// AcmeConfig: [acme] of perigeed.toml: the authority that control gets certificates of apps' own
// hosts from.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/route_certificate.h"

namespace perigee::config {

class Section;

struct AcmeConfig {
  std::string directory_url;  // directory; empty: no certificate is got by ACME
  std::string contact;        // contact: an e-mail address
  std::string ca_file;        // ca: PEM, of the authority's own TLS; empty: the system's roots
  // challenges: tried in this order, the next after a failure
  std::vector<model::ChallengeType> challenges{model::ChallengeType::http_01,
                                               model::ChallengeType::tls_alpn_01};
  std::vector<std::string> keys{"ecdsa"};  // keys: "ecdsa", "rsa"; a certificate for each
  std::optional<Duration> renew_after;     // renew_after; unset: well before two thirds of its life
  Duration retry = 120s;                   // retry: after the first failure, then doubling
  uid_t uid = 64991;                       // uid, gid: whom the ACME client runs as
  gid_t gid = 64991;
  bool operator==(const AcmeConfig&) const = default;
};

Result<AcmeConfig> read_acme_config(Section& top);

}  // namespace perigee::config
