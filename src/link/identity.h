// Identity: what a node of a fleet knows about itself, and keeps on disk: who admitted it, its
// certificate, its private key (sealed with the node's own ring, docs/formats/sealed.md), and whom
// it can ask. `perigeed link` holds it; nothing else sees the key.
#pragma once

#include <optional>
#include <string>

#include "async/task.h"
#include "model/join.h"
#include "secrets/key_file.h"
#include "sys/host.h"

namespace perigee::link {

struct Identity {
  model::Admission admission;   // without ring and control files, which have places of their own
  std::string private_key_pem;  // of the certificate
};

// At <state>/fleet/identity.json.
class IdentityFile {
 public:
  IdentityFile(sys::Host& host, const secrets::KeyFile& ring, std::string path)
      : host_(host), ring_(ring), path_(std::move(path)) {}
  // nullopt: this node has not joined. data_loss names the file.
  async::Task<Result<std::optional<Identity>>> load() const;
  async::Task<Result<void>> save(Identity identity) const;

 private:
  sys::Host& host_;
  const secrets::KeyFile& ring_;
  std::string path_;
};

}  // namespace perigee::link
