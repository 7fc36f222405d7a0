// Fleet: control's part in a node's joining: the fleet's identity (id, addresses, CA), join tokens,
// and the admission itself, one transaction that spends a token, gives out an index and writes the
// node down. docs/formats/fleet.md; why it is so: docs/decisions/0018-fleet.md.
#pragma once

#include <optional>
#include <string>

#include "base/time.h"
#include "control/context.h"
#include "model/join.h"

namespace perigee::control {

class Fleet {
 public:
  using Admits = JoinTokenRecord::Admits;
  // What decides whether more nodes may run control.
  enum class Store { of_one_control, shared };
  Fleet(const Context& context, Duration certificate_life, Store store)
      : context_(context), certificate_life_(certificate_life), store_(store) {}
  // What nodes that join with control are given, beside what `context` has.
  void set_api_token(std::string token) { api_token_ = std::move(token); }

  // The fleet's record, made where there is none.
  async::Task<Result<Stored<FleetRecord>>> identity();
  // A new token, good for `uses` nodes within `life`. unsupported where it is to admit nodes with
  // control and the store is of one control.
  async::Task<Result<model::JoinToken>> make_token(Duration life, int uses, Admits admits);
  // unauthenticated where the token is not good; conflict where that name is taken.
  async::Task<Result<model::Admission>> admit(model::JoinRequest request);
  // The node that control runs on: it needs no token, and may ask again.
  async::Task<Result<model::Admission>> admit_own(model::JoinRequest request);
  // A new certificate for a node that has joined. `shown`: the fingerprint of the one that it asked
  // with, which stays good until the next renewal: it may never hear the answer, and ask again.
  async::Task<Result<model::Admission>> renew(NodeId node, std::string certificate_request,
                                              std::string shown);
  // The node's WireGuard key, and the one that it will take next (base64; empty: none). conflict
  // while another node changes its own: two that had done so at one time would not find each other.
  async::Task<Result<void>> set_keys(NodeId node, std::string key, std::string next_key);
  // The CA's key as the resealer needs it; nullopt where it is sealed with the primary key.
  Result<std::optional<std::string>> ca_key_sealed_anew() const;
  // The ring of a node without control.
  std::string key_ring() const;

 private:
  Result<std::string> issue(const FleetRecord& fleet, const NodeId& node,
                            const std::string& certificate_request, bool runs_control) const;
  Result<void> spend(const model::JoinToken& token, const model::JoinRequest& request,
                     store::Transaction& transaction) const;
  async::Task<Result<model::Admission>> admit_once(model::JoinRequest request);
  async::Task<Result<model::Admission>> enter(model::JoinRequest request,
                                              store::Transaction transaction, bool again);
  Result<void> check_turn(const NodeId& node) const;
  Result<void> check_keys(const NodeId& node, const std::vector<std::string>& keys) const;
  model::Admission admission(const FleetRecord& fleet, model::FleetNode node,
                             std::string certificate) const;

  const Context& context_;
  Duration certificate_life_;
  Store store_;
  std::string api_token_;
};

}  // namespace perigee::control
