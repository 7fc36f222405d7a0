#include "backhaul/client.h"

#include <algorithm>
#include <array>

#include "async/combine.h"
#include "base/log.h"
#include "http2/client.h"

namespace perigee::backhaul {
namespace {

std::unexpected<Failure> unsent(Error error) {
  return std::unexpected(Failure{.request = {.error = std::move(error)}});
}

Error unreachable(const Hop& hop) {
  return Error::make(Code::unavailable, fmt::format("node {} can't be reached", hop.node));
}

Error refused(const Hop& hop, Refusal refusal) {
  return Error::make(Code::unavailable, fmt::format("machine {} on node {}: {}", hop.machine,
                                                    hop.node, describe(refusal)));
}

}  // namespace

Client::Client(sys::Host& host, std::string own_node, std::uint16_t port)
    : host_(host), own_node_(std::move(own_node)), port_(port) {}
Client::~Client() = default;

// Keeps the connections to nodes that stay where they are.
void Client::set_nodes(const std::map<std::string, model::RouteNode>& nodes) {
  std::map<std::string, Known> next;
  for (const auto& [name, node] : nodes) {
    if (name == own_node_ || !node.has_router) continue;
    const auto address = sys::Address::ip(node.mesh_address, port_);
    if (!address) {
      log_warning("backhaul", "node {}: {}", name, address.error().context);
      continue;
    }
    const auto former = nodes_.find(name);
    if (former != nodes_.end() && former->second.peer->address() == *address) {
      next.insert(nodes_.extract(former));
      next.at(name).node = node;
    } else {
      next.emplace(name, Known{.node = node, .peer = std::make_shared<Peer>(host_, *address)});
    }
  }
  nodes_ = std::move(next);
}

Client::Known* Client::find(const std::string& node) {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : &found->second;
}

bool Client::reaches(const std::string& node) const {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return false;
  if (found->second.peer->reachable()) return true;
  return std::ranges::any_of(nodes_, [&](const auto& each) {
    return each.first != node && each.second.peer->reachable() && !each.second.node.draining;
  });
}

std::optional<Duration> Client::rtt(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? std::nullopt : found->second.peer->rtt();
}

std::optional<std::string> Client::way_to(const std::string& node) {
  Known* target = find(node);
  if (target == nullptr) return std::nullopt;
  if (target->peer->reachable()) return node;
  const Known* by = find_relay(*target);
  return by == nullptr ? std::nullopt : std::optional(by->node.node.str());
}

async::Task<Forwarded> Client::forward(Hop hop, http::RequestHead head, http::Body* body,
                                       Deadline deadline) {
  if (hop.from.empty()) hop.from = own_node_;
  const Known* target = find(hop.node);
  if (target == nullptr) co_return unsent(unreachable(hop));
  const std::shared_ptr<Peer> peer = target->peer;
  ConnectionPtr connection = co_await peer->connection(deadline);
  if (connection) {
    co_return co_await ask(std::move(connection), std::move(hop), std::move(head), body, deadline);
  }
  if (hop.relays >= kMaxRelays) co_return unsent(unreachable(hop));
  co_return co_await relay(std::move(hop), std::move(head), body, deadline);
}

// The nearest that answers and has not failed just now.
Client::Known* Client::find_relay(Known& target) {
  std::erase_if(target.avoided,
                [now = host_.loop.now()](const auto& each) { return each.second <= now; });
  Known* best = nullptr;
  for (auto& [name, each] : nodes_) {
    const bool fit = &each != &target && !each.node.draining && each.peer->rtt() &&
                     each.peer->reachable() && !target.avoided.contains(name);
    if (fit && (best == nullptr || *each.peer->rtt() < *best->peer->rtt())) best = &each;
  }
  return best;
}

async::Task<Forwarded> Client::relay(Hop hop, http::RequestHead head, http::Body* body,
                                     Deadline deadline) {
  Known* target = find(hop.node);
  Known* by = target == nullptr ? nullptr : find_relay(*target);
  if (by == nullptr) co_return unsent(unreachable(hop));
  const std::string relay_node = by->node.node.str();
  const std::shared_ptr<Peer> peer = by->peer;
  ConnectionPtr connection = co_await peer->connection(deadline);
  if (!connection) co_return unsent(unreachable(hop));
  ++hop.relays;
  const std::string target_node = hop.node;
  auto answer =
      co_await ask(std::move(connection), std::move(hop), std::move(head), body, deadline);
  target = find(target_node);  // the nodes may have changed meanwhile
  if (!answer && answer.error().told.refusal == Refusal::unreachable && target != nullptr) {
    target->avoided[relay_node] = host_.loop.now() + kRelayAvoided;
  }
  if (answer) answer->told.relay = relay_node;
  co_return answer;
}

async::Task<Forwarded> Client::ask(ConnectionPtr connection, Hop hop, http::RequestHead head,
                                   http::Body* body, Deadline deadline) {
  remove_hop_fields(head.headers);
  put(head.headers, hop);
  auto response = co_await http2::forward(std::move(connection), std::move(head), body, deadline);
  if (!response) co_return std::unexpected(Failure{.request = std::move(response).error()});
  Told told = told_by((*response)->head.headers);
  remove_hop_fields((*response)->head.headers);
  if (told.refusal) {
    co_return std::unexpected(
        Failure{.request = {.error = refused(hop, *told.refusal)}, .told = std::move(told)});
  }
  co_return Answer{.response = *std::move(response), .told = std::move(told)};
}

// ---- tunnels ----

// The node's own, or that of a relay, which counts as one.
std::shared_ptr<Peer> Client::peer_for(Hop& hop) {
  Known* target = find(hop.node);
  if (target == nullptr || target->peer->reachable()) return target ? target->peer : nullptr;
  Known* by = hop.relays < kMaxRelays ? find_relay(*target) : nullptr;
  if (by == nullptr) return nullptr;
  ++hop.relays;
  return by->peer;
}

async::Task<Connected> Client::connect(Tunnel tunnel, Deadline deadline) {
  if (tunnel.hop.from.empty()) tunnel.hop.from = own_node_;
  const std::shared_ptr<Peer> peer = peer_for(tunnel.hop);
  if (peer == nullptr) co_return unsent(unreachable(tunnel.hop));
  auto bytes = opening(tunnel);
  if (!bytes) co_return unsent(std::move(bytes).error());
  auto stream = co_await peer->tunnel(deadline);
  if (!stream) co_return unsent(std::move(stream).error());
  const auto answer = co_await async::with_deadline(
      host_.loop, deadline, open(**stream, *std::move(bytes)), peer->address().str());
  if (!answer) co_return unsent(answer.error());
  if (const auto refusal = refusal_of(*answer)) {
    co_return std::unexpected(
        Failure{.request = {.error = refused(tunnel.hop, *refusal)}, .told = {.refusal = refusal}});
  }
  co_return *std::move(stream);
}

async::Task<Result<char>> Client::open(sys::Stream& stream, std::string opening) {
  CO_TRY_VOID(co_await stream.write(opening));
  std::array<char, 1> answer{};
  CO_TRY(const std::size_t count, co_await stream.read(answer));
  if (count == 0) co_return fail(Code::unavailable, "{} closed a new tunnel", stream.peer());
  co_return answer[0];
}

}  // namespace perigee::backhaul
