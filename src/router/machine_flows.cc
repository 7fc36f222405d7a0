#include "router/machine_flows.h"

#include "backhaul/limits.h"

namespace perigee::router {
namespace {

using backhaul::Datagram;
using backhaul::DatagramKind;
using backhaul::Refusal;

std::string key_of(const Datagram& datagram) {
  return fmt::format("{} {} {} {}", datagram.client, datagram.listener, datagram.machine,
                     datagram.port);
}

}  // namespace

struct MachineFlows::Flow {
  std::string key;
  backhaul::Hop hop;
  Datagram answer{};   // as what the machine says goes back
  std::string node{};  // … to the user's router there
  sys::Address machine{};
  std::unique_ptr<sys::Datagrams> socket{};
  Loads::Slot slot{};
  routing::TablePtr table{};   // that has the machine
  async::Task<void> reader{};  // last: uses the others
};

MachineFlows::MachineFlows(sys::Host& host, State& state, std::string own_node, Answer answer)
    : host_(host), state_(state), own_node_(std::move(own_node)), answer_(std::move(answer)) {}
MachineFlows::~MachineFlows() = default;

std::optional<Refusal> MachineFlows::deliver(const std::string& from, const Datagram& datagram,
                                             std::string_view payload) {
  const std::string key = key_of(datagram);
  Flow* flow = current(key);
  if (flow == nullptr) {
    const backhaul::Hop hop{.app = datagram.app,
                            .machine = datagram.machine,
                            .node = own_node_,
                            .port = datagram.port,
                            .from = from == own_node_ ? std::string() : from};
    auto begun = begin(key, hop, datagram);
    if (!begun) return begun.error();
    if (*begun != nullptr) {
      flow = flows_.add(key, datagram.client.host(), *std::move(begun), host_.loop.now());
    }
    if (flow == nullptr) {
      ++state_.datagrams.too_many_flows;
      return std::nullopt;
    }
    flow->reader = read_answers(*this, *flow);
    flow->reader.start();
  }
  flow->node = from;
  if (flow->socket->send(payload, flow->machine)) ++state_.datagrams.to_machines;
  return std::nullopt;
}

// Null where there is none, or its machine has gone since.
MachineFlows::Flow* MachineFlows::current(const std::string& key) {
  Flow* flow = flows_.find(key, host_.loop.now());
  if (flow == nullptr || flow->table == state_.table) return flow;
  const FoundPlace place = find_place(state_, own_node_, flow->hop);
  if (place && place->address == flow->machine) {
    flow->table = state_.table;
    return flow;
  }
  flows_.erase(key);
  return nullptr;
}

// Null where no socket can be had for it.
MachineFlows::Begun MachineFlows::begin(const std::string& key, const backhaul::Hop& hop,
                                        const Datagram& datagram) {
  const FoundPlace place = find_room(state_, own_node_, hop);
  if (!place) return std::unexpected(place.error());
  const std::string_view any = place->address.is_ipv6() ? "::" : "0.0.0.0";
  auto socket = host_.network.open_datagrams(*sys::Address::ip(any, 0), sys::Binding::present);
  if (!socket) return nullptr;
  auto flow = std::make_unique<Flow>(Flow{.key = key, .hop = hop});
  flow->answer = {.kind = DatagramKind::from_machine,
                  .client = datagram.client,
                  .listener = datagram.listener,
                  .machine = datagram.machine};
  flow->machine = place->address;
  flow->socket = *std::move(socket);
  flow->slot = Loads::Slot(state_.loads, place->machine, place->from);
  flow->table = state_.table;
  return flow;
}

async::Task<void> MachineFlows::read_answers(MachineFlows& self, Flow& flow) {
  std::string buffer(backhaul::kMaxDatagram + 1, '\0');
  for (std::size_t count = 1;; ++count) {
    const auto received = co_await flow.socket->receive(buffer);
    if (received) {
      self.take_answer(flow, received->from, std::string_view(buffer).substr(0, received->size));
    } else {
      co_await self.host_.loop.sleep(kDatagramErrorPause);
    }
    if (count % backhaul::kDatagramBurst == 0) co_await self.host_.loop.yield();
  }
}

// The machine's alone: its node's other machines, and the world, know the port too.
void MachineFlows::take_answer(Flow& flow, const sys::Address& from, std::string_view payload) {
  if (from != flow.machine) return;
  if (payload.size() > backhaul::kMaxDatagram) {
    ++state_.datagrams.too_large;
    return;
  }
  ++state_.datagrams.from_machines;
  flows_.find(flow.key, host_.loop.now());
  answer_(flow.node, flow.answer, payload);
}

void MachineFlows::expire() {
  flows_.expire(host_.loop.now(), kFlowIdle);
}

}  // namespace perigee::router
