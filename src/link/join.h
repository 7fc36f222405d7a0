// How this server becomes a node of a fleet: with a token, over TLS to a control node that it knows
// by the token alone; or, where it runs control itself, by asking that.
#pragma once

#include <optional>
#include <string>

#include "link/identity.h"
#include "sys/host.h"

namespace perigee::link {

// What the new node says of itself. The token and the certificate request are added.
struct Candidate {
  model::JoinRequest request;
  std::string private_key_pem;  // of request.certificate_request
};
Result<Candidate> candidate(NodeId node, RegionCode region, std::vector<std::string> roles,
                            std::string endpoint, std::string wireguard_key);

struct Joined {
  Identity identity;
  std::string key_ring;  // to be installed; empty: this node has control's own
  std::optional<model::ControlFiles> control;  // likewise; where it joined with control
};
// `control`: an address of port 4281. unauthenticated where the token is not good, or where who
// answers is not the fleet that the token is for: nothing was told to it then.
async::Task<Result<Joined>> join(sys::Host& host, sys::Address control, std::string token,
                                 Candidate candidate);
// `socket`: control.sock of this node.
async::Task<Result<Joined>> join_own(sys::Host& host, sys::Address socket, Candidate candidate);

}  // namespace perigee::link
