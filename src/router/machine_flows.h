// MachineFlows: users' datagrams to this node's machines, and what the machines say back.
//
// A flow is what one client says to one address of ours, for one machine. It has a socket of its
// own, whose port the machine sees and answers: that tells the machine's answers apart. The
// client's own address is not the source that the machine sees (docs/decisions/0028-datagrams.md).
// A flow counts as one of the machine's requests while it lasts, and ends kFlowIdle after its last
// datagram either way, or when the machine is no longer there.
// Owned by DatagramCarrier, on its loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "backhaul/datagram.h"
#include "router/flow_table.h"
#include "router/limits.h"
#include "router/place.h"
#include "router/state.h"
#include "sys/host.h"

namespace perigee::router {

class MachineFlows {
 public:
  // What a machine says, for the user's router at `node`. It may not end flows.
  using Answer = std::function<void(const std::string& node, const backhaul::Datagram& datagram,
                                    std::string_view payload)>;
  MachineFlows(sys::Host& host, State& state, std::string own_node, Answer answer);
  ~MachineFlows();

  // Why the machine does not get it; nullopt: it has left, or is lost.
  std::optional<backhaul::Refusal> deliver(const std::string& from,
                                           const backhaul::Datagram& datagram,
                                           std::string_view payload);
  void expire();
  std::size_t size() const { return flows_.size(); }

 private:
  struct Flow;
  using Begun = std::expected<std::unique_ptr<Flow>, backhaul::Refusal>;
  Flow* current(const std::string& key);
  Begun begin(const std::string& key, const backhaul::Hop& hop, const backhaul::Datagram& datagram);
  static async::Task<void> read_answers(MachineFlows& self, Flow& flow);
  void take_answer(Flow& flow, const sys::Address& from, std::string_view payload);

  sys::Host& host_;
  State& state_;
  std::string own_node_;
  Answer answer_;
  FlowTable<Flow> flows_{kMaxMachineFlows, kMaxFlowsPerClient};
};

}  // namespace perigee::router
