#include "router/user_flows.h"

#include <algorithm>

#include "async/combine.h"
#include "backhaul/limits.h"
#include "base/log.h"
#include "routing/choose.h"

namespace perigee::router {
namespace {

using backhaul::Datagram;

std::string key_of(const sys::Address& client, const sys::Address& listener) {
  return fmt::format("{} {}", client, listener);
}

bool has_started(const model::AppRoute& route, const std::string& machine,
                 const std::string& node) {
  return std::ranges::any_of(route.targets, [&](const model::RouteTarget& each) {
    return each.machine.str() == machine && each.node.str() == node &&
           each.state == model::MachineState::started;
  });
}

}  // namespace

struct UserFlows::Flow {
  sys::Datagrams& socket;
  sys::Address client;
  sys::Address listener;  // of ours, that the client speaks to
  std::string app{};
  int internal_port = 0;  // of the app's service, in the machine
  std::string machine{};  // empty: to be chosen
  std::string node{};
  routing::TablePtr table{};  // that has the machine
  backhaul::LoadView::Slot there{};
  std::set<std::string> refused{};  // machines that did, until `refused_until`
  MonotonicTime refused_until{};
};

UserFlows::UserFlows(sys::Host& host, State& state, backhaul::Client& nodes,
                     backhaul::DatagramLink& link, Waker& waker, std::string own_node)
    : host_(host),
      state_(state),
      nodes_(nodes),
      link_(link),
      waker_(waker),
      own_node_(std::move(own_node)),
      candidates_(host.loop, state, nodes, own_node_),
      stopped_(host.loop) {}
UserFlows::~UserFlows() = default;

async::Task<void> UserFlows::serve(std::unique_ptr<sys::Datagrams> socket) {
  struct Guard {  // flows end with the socket that they answer by
    UserFlows& self;
    const sys::Datagrams* own;
    ~Guard() {
      self.flows_.erase_if([this](const Flow& flow) { return &flow.socket == own; });
    }
  };
  const Guard guard{*this, socket.get()};
  co_await async::first_of(host_.loop, receive_all(*socket), stopped_.wait());
  while (flows_.size() > 0) co_await host_.loop.sleep(kFlowSweep);
}

async::Task<void> UserFlows::receive_all(sys::Datagrams& socket) {
  std::string buffer(backhaul::kMaxDatagram + 1, '\0');
  for (std::size_t count = 1;; ++count) {
    const auto received = co_await socket.receive(buffer);
    if (received) {
      take(socket, *received, std::string_view(buffer).substr(0, received->size));
    } else {
      log_warning("datagrams", "{}", received.error().context);
      co_await host_.loop.sleep(kDatagramErrorPause);
    }
    if (count % backhaul::kDatagramBurst == 0) co_await host_.loop.yield();
  }
}

void UserFlows::take(sys::Datagrams& socket, const sys::Datagrams::Received& received,
                     std::string_view payload) {
  ++state_.datagrams.from_users;
  if (payload.size() > backhaul::kMaxDatagram) {
    ++state_.datagrams.too_large;
  } else if (Flow* flow = flow_of(socket, received)) {
    forward(*flow, payload);
  }
}

// Begun where there is none; null, and counted, where the port is nobody's or its client has too
// many.
UserFlows::Flow* UserFlows::flow_of(sys::Datagrams& socket,
                                    const sys::Datagrams::Received& received) {
  const std::string key = key_of(received.from, received.to);
  if (Flow* flow = flows_.find(key, host_.loop.now())) return flow;
  auto made = std::make_unique<Flow>(
      Flow{.socket = socket, .client = received.from, .listener = received.to});
  if (!owner_of(*made)) {
    ++state_.datagrams.no_service;
    return nullptr;
  }
  Flow* flow = flows_.add(key, received.from.host(), std::move(made), host_.loop.now());
  if (flow == nullptr) ++state_.datagrams.too_many_flows;
  return flow;
}

std::optional<routing::PortOwner> UserFlows::owner_of(const Flow& flow) const {
  return state_.table->find_owner(model::Protocol::udp, flow.listener.host(), flow.listener.port());
}

// Of a datagram that came back; null where it is not from the flow's machine.
UserFlows::Flow* UserFlows::flow_of(const Datagram& datagram) {
  Flow* flow = flows_.find(key_of(datagram.client, datagram.listener), host_.loop.now());
  return flow == nullptr || flow->machine != datagram.machine ? nullptr : flow;
}

void UserFlows::forward(Flow& flow, std::string_view payload) {
  if (!settled(flow) && !choose(flow)) {
    ++state_.datagrams.unplaced;
    return;
  }
  Datagram datagram{.client = flow.client,
                    .listener = flow.listener,
                    .machine = flow.machine,
                    .app = flow.app,
                    .port = flow.internal_port};
  // It may come back refused before this returns: a machine of this node is asked at once.
  if (!link_.send(flow.node, std::move(datagram), payload)) ++state_.datagrams.unplaced;
}

// Whether the flow's machine still is where it was chosen, and its port still the app's.
bool UserFlows::settled(Flow& flow) const {
  if (flow.machine.empty()) return false;
  if (flow.node != own_node_ && !nodes_.reaches(flow.node)) return false;
  if (flow.table == state_.table) return true;
  const auto owner = owner_of(flow);
  const bool same = owner && owner->route->app.str() == flow.app &&
                    owner->service->internal_port == flow.internal_port;
  if (!same || !has_started(*owner->route, flow.machine, flow.node)) return false;
  flow.table = state_.table;
  return true;
}

// By the newest table.
bool UserFlows::choose(Flow& flow) {
  if (host_.loop.now() >= flow.refused_until) flow.refused.clear();
  flow.machine.clear();
  flow.there = {};
  const auto owner = owner_of(flow);
  if (!owner) return false;
  flow.app = owner->route->app.str();
  flow.internal_port = owner->service->internal_port;
  const auto candidates = candidates_.of(*owner->route, {}, {.refused = flow.refused});
  const auto policy = routing::Policy::of(owner->service->concurrency);
  const auto decision = routing::choose(candidates, policy, state_.turn++);
  if (decision.wake) waker_.ask(flow.app);
  if (decision.outcome != routing::Outcome::chosen) return false;
  const model::RouteTarget& target = *candidates[*decision.index].target;
  flow.machine = target.machine.str();
  flow.node = target.node.str();
  flow.table = state_.table;
  if (flow.node != own_node_) {
    flow.there = backhaul::LoadView::Slot(state_.remote_loads, flow.machine);
  }
  return true;
}

void UserFlows::answered(const Datagram& datagram, std::string_view payload) {
  const Flow* flow = flow_of(datagram);
  if (flow == nullptr) return;
  if (flow->socket.send_from(flow->listener, payload, flow->client)) {
    ++state_.datagrams.to_users;
  }
}

void UserFlows::refused(const Datagram& datagram, std::string_view payload) {
  Flow* flow = flow_of(datagram);
  if (flow == nullptr) return;
  ++state_.datagrams.refused;
  flow->refused.insert(flow->machine);
  flow->refused_until = host_.loop.now() + kRefusedFor;
  flow->machine.clear();
  forward(*flow, payload);
}

void UserFlows::expire() {
  flows_.expire(host_.loop.now(), kFlowIdle);
}

}  // namespace perigee::router
