#include "sim/network.h"

#include <algorithm>

#include "async/combine.h"
#include "base/check.h"
#include "sim/stream.h"

namespace perigee::sim {
namespace {

constexpr Duration kConnectRetry = 1s;  // a SYN that nobody answers

}  // namespace

bool is_wildcard(const sys::Address& address) {
  return address.host() == "0.0.0.0" || address.host() == "::";
}

SimNetwork::SimNetwork(VirtualPort& port, async::Loop& loop, Trace& trace, Random random)
    : port_(port), loop_(loop), trace_(trace), random_(random) {}

std::string SimNetwork::address_of(NodeIndex node) {
  constexpr NodeIndex kPerSubnet = 200;
  return fmt::format("10.77.{}.{}", node / kPerSubnet, node % kPerSubnet + 1);
}

void SimNetwork::add_node() {
  PERIGEE_CHECK(machines_.size() < kMaxNodes);
  addresses_[address_of(machines_.size())] = machines_.size();
  machines_.push_back(std::make_unique<Machine>(loop_));
}

void SimNetwork::set_link(NodeIndex a, NodeIndex b, Link link) {
  links_[{a, b}] = link;
  links_[{b, a}] = link;
}

void SimNetwork::partition(NodeIndex a, NodeIndex b) {
  for (auto [from, to] : {std::pair(a, b), std::pair(b, a)}) {
    Link changed = link(from, to);
    changed.cut = true;
    links_[{from, to}] = changed;
  }
  note("cut", a, b, {});
}

void SimNetwork::heal(NodeIndex a, NodeIndex b) {
  for (auto [from, to] : {std::pair(a, b), std::pair(b, a)}) {
    Link changed = link(from, to);
    changed.cut = false;
    links_[{from, to}] = changed;
  }
  note("heal", a, b, {});
}

void SimNetwork::power_off(NodeIndex node) {
  Machine& machine = *machines_[node];
  machine.powered = false;
  machine.inbox.clear();
}

void SimNetwork::power_on(NodeIndex node) {
  Machine& machine = *machines_[node];
  if (machine.powered) return;
  machine.powered = true;
  ++machine.boot;
}

const Link& SimNetwork::link(NodeIndex from, NodeIndex to) const {
  const auto found = links_.find({from, to});
  return found == links_.end() ? default_link_ : found->second;
}

Duration SimNetwork::transit(NodeIndex from, NodeIndex to) {
  if (from == to) return random_.between(kLocalDelay / 2, kLocalDelay);
  const Link& over = link(from, to);
  return over.delay + random_.between(Duration::zero(), over.jitter);
}

bool SimNetwork::blocked(NodeIndex from, NodeIndex to) const {
  if (!machines_[to]->powered || !machines_[from]->powered) return true;
  return from != to && link(from, to).cut;
}

void SimNetwork::note(std::string_view kind, NodeIndex from, NodeIndex to,
                      std::string_view detail) {
  trace_.note(port_.now(), kind, fmt::format("{}>{} {}", from, to, detail));
}

// ---- datagrams ----

// Delivers once, twice or never.
void SimNetwork::pass(NodeIndex from, NodeIndex to, std::function<void()> deliver) {
  const Link& over = link(from, to);
  const int copies = random_.chance(over.duplicate_per_mille) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    if (random_.chance(over.loss_per_mille)) continue;
    port_.schedule(port_.now() + transit(from, to), [this, from, to, deliver] {
      const bool there = machines_[to]->powered && (from == to || !link(from, to).cut);
      if (there) deliver();
    });
  }
}

void SimNetwork::send(NodeIndex from, NodeIndex to, std::string text) {
  pass(from, to, [this, from, to, text = std::move(text)] { deliver_datagram(from, to, text); });
}

void SimNetwork::deliver_datagram(NodeIndex from, NodeIndex to, const std::string& text) {
  Machine& machine = *machines_[to];
  if (machine.inbox.size() >= kMaxInbox) return;
  note("datagram", from, to, text);
  machine.inbox.push_back({.from = from, .text = text});
  machine.waits.wake_one();
}

async::Task<Datagram> SimNetwork::receive(NodeIndex node) {
  Machine& machine = *machines_[node];
  while (machine.inbox.empty()) co_await async::wait_in(loop_, machine.waits);
  Datagram datagram = std::move(machine.inbox.front());
  machine.inbox.pop_front();
  co_return datagram;
}

// ---- connecting ----

Result<std::unique_ptr<sys::Listener>> SimNetwork::listen(NodeIndex node, sys::Address at) {
  Machine& machine = *machines_[node];
  if (!at.is_unix() && at.port() == 0) {
    TRY(at, sys::Address::ip(at.host(), machine.next_port++));
  }
  SimListener*& slot = machine.listeners[at.str()];
  if (slot != nullptr && !at.is_unix()) {
    return fail(Code::already_exists, "listen on {}: Address already in use", at.str());
  }
  auto listener = std::make_unique<SimListener>(*this, node, at);
  slot = listener.get();
  return listener;
}

void SimNetwork::close_listener(const SimListener& listener) {
  auto& listeners = machines_[listener.node()]->listeners;
  const auto found = listeners.find(listener.local().str());
  if (found != listeners.end() && found->second == &listener) listeners.erase(found);
}

NodeIndex SimNetwork::owner_of(NodeIndex from, const sys::Address& to) const {
  const Machine& own = *machines_[from];
  const bool inside = to.is_unix() || to.is_loopback() || own.listeners.contains(to.str()) ||
                      own.sockets.contains(to.str());
  if (inside) return from;
  const auto found = addresses_.find(to.host());
  // Else an address behind this node: refused there unless something listens.
  return found == addresses_.end() ? from : found->second;
}

SimListener* SimNetwork::listener_at(NodeIndex node, const sys::Address& at) const {
  const auto& listeners = machines_[node]->listeners;
  if (const auto found = listeners.find(at.str()); found != listeners.end()) return found->second;
  for (const auto& [text, listener] : listeners) {
    const sys::Address local = listener->local();
    if (!local.is_unix() && local.port() == at.port() && is_wildcard(local)) return listener;
  }
  return nullptr;
}

async::Task<Result<std::unique_ptr<sys::Stream>>> SimNetwork::connect(NodeIndex from,
                                                                      sys::Address to) {
  const NodeIndex target = owner_of(from, to);
  co_await loop_.sleep(transit(from, target));
  while (blocked(from, target)) co_await loop_.sleep(kConnectRetry);
  SimListener* listener = listener_at(target, to);
  if (listener == nullptr) {
    co_await loop_.sleep(transit(target, from));
    note("refused", from, target, to.str());
    co_return fail(to.is_unix() ? Code::not_found : Code::unavailable, "connect to {}: {}",
                   to.str(), to.is_unix() ? "No such file or directory" : "Connection refused");
  }
  std::unique_ptr<sys::Stream> stream = establish(from, target, to, *listener);
  if (!stream) co_return fail(Code::unavailable, "connect to {}: its queue is full", to.str());
  co_await loop_.sleep(transit(target, from));
  co_return std::move(stream);
}

std::unique_ptr<sys::Stream> SimNetwork::establish(NodeIndex from, NodeIndex to,
                                                   const sys::Address& at, SimListener& listener) {
  auto connection = std::make_shared<Connection>(loop_);
  ConnectionEnd& here = connection->end(0);
  here.node = from;
  here.boot = machines_[from]->boot;
  if (!at.is_unix()) {
    here.address = *sys::Address::ip(address_of(from), machines_[from]->next_port++);
  }
  ConnectionEnd& there = connection->end(1);
  there.node = to;
  there.boot = machines_[to]->boot;
  there.address = at;
  std::unique_ptr<sys::Stream> accepted = std::make_unique<SimStream>(*this, connection, 1);
  auto connected = std::make_unique<SimStream>(*this, connection, 0);
  if (!listener.offer(accepted)) return nullptr;
  note("connect", from, to, at.str());
  return connected;
}

// ---- streams ----

void SimNetwork::transmit(const std::shared_ptr<Connection>& connection, int to,
                          std::string bytes) {
  put_on_wire(connection, to, {.kind = Segment::Kind::data, .bytes = std::move(bytes), .due = {}});
}

void SimNetwork::finish(const std::shared_ptr<Connection>& connection, int to) {
  put_on_wire(connection, to, {.kind = Segment::Kind::end, .bytes = {}, .due = {}});
}

void SimNetwork::reset(const std::shared_ptr<Connection>& connection, int to) {
  put_on_wire(connection, to, {.kind = Segment::Kind::reset, .bytes = {}, .due = {}});
}

void SimNetwork::put_on_wire(const std::shared_ptr<Connection>& connection, int to,
                             Segment segment) {
  const ConnectionEnd& from = connection->end(1 - to);
  const Machine& machine = *machines_[from.node];
  if (!machine.powered || machine.boot != from.boot) return;  // a dead machine says nothing
  const NodeIndex target = connection->end(to).node;
  Duration delay = transit(from.node, target);
  if (from.node != target) {
    while (random_.chance(link(from.node, target).loss_per_mille)) delay += kRetransmitTimeout;
  }
  Wire& wire = connection->wire(to);
  wire.last_due = std::max(wire.last_due, port_.now() + delay);
  segment.due = wire.last_due;
  wire.segments.push_back(std::move(segment));
  if (!wire.armed) arm_wire(connection, to, wire.segments.front().due);
}

void SimNetwork::arm_wire(const std::shared_ptr<Connection>& connection, int to, MonotonicTime at) {
  connection->wire(to).armed = true;
  port_.schedule(at, [this, connection, to] { run_wire(connection, to); });
}

SimNetwork::Passage SimNetwork::passage(const Connection& connection, int to) const {
  const ConnectionEnd& target = connection.end(to);
  const ConnectionEnd& source = connection.end(1 - to);
  const Machine& machine = *machines_[target.node];
  if (!machine.powered) return Passage::blocked;
  if (source.node != target.node && link(source.node, target.node).cut) return Passage::blocked;
  return machine.boot == target.boot ? Passage::open : Passage::stale;
}

void SimNetwork::run_wire(const std::shared_ptr<Connection>& connection, int to) {
  Wire& wire = connection->wire(to);
  wire.armed = false;
  const MonotonicTime now = port_.now();
  const Passage now_passes = passage(*connection, to);
  if (now_passes == Passage::blocked) {
    if (!wire.blocked_since) wire.blocked_since = now;
    if (now - *wire.blocked_since < kUnansweredTimeout) {
      return arm_wire(connection, to, now + kRetransmitTimeout);
    }
    wire.segments.clear();
    return break_end(*connection, 1 - to, Code::deadline_exceeded);
  }
  wire.blocked_since.reset();
  while (!wire.segments.empty() && wire.segments.front().due <= now) {
    Segment segment = std::move(wire.segments.front());
    wire.segments.pop_front();
    if (now_passes == Passage::stale) {
      wire.segments.clear();
      return break_end(*connection, 1 - to, Code::unavailable);
    }
    arrive(connection, to, std::move(segment));
  }
  if (!wire.segments.empty() && !wire.armed) arm_wire(connection, to, wire.segments.front().due);
}

void SimNetwork::arrive(const std::shared_ptr<Connection>& connection, int to, Segment segment) {
  ConnectionEnd& target = connection->end(to);
  const ConnectionEnd& source = connection->end(1 - to);
  const bool data = segment.kind == Segment::Kind::data;
  note(data                                 ? "segment"
       : segment.kind == Segment::Kind::end ? "end"
                                            : "reset",
       source.node, target.node, segment.bytes);
  const Link& over = link(source.node, target.node);
  if (data && source.node != target.node && random_.chance(over.reset_per_mille)) {
    break_end(*connection, to, Code::unavailable);
    return break_end(*connection, 1 - to, Code::unavailable);
  }
  if (segment.kind == Segment::Kind::reset) return break_end(*connection, to, Code::unavailable);
  if (target.closed) {
    if (data) reset(connection, 1 - to);
    return;
  }
  if (data) {
    target.received += segment.bytes;
  } else {
    target.end_received = true;
  }
  target.readers.wake_all();
}

void SimNetwork::break_end(Connection& connection, int end, Code code) {
  ConnectionEnd& broken = connection.end(end);
  const Machine& machine = *machines_[broken.node];
  if (!machine.powered || machine.boot != broken.boot || broken.broken) return;
  broken.broken = code;
  broken.received.clear();
  broken.readers.wake_all();
  broken.writers.wake_all();
}

// ---- one node's view ----

async::Task<Result<std::unique_ptr<sys::Stream>>> NodeNetwork::connect(sys::Address to,
                                                                       Deadline deadline) {
  const std::string what = fmt::format("connect to {}", to.str());
  CO_TRY(auto stream, co_await async::with_deadline(network_.loop(), deadline,
                                                    network_.connect(node_, to), what));
  co_return std::move(stream);
}

Result<std::unique_ptr<sys::Listener>> NodeNetwork::listen(const sys::Address& at) {
  return network_.listen(node_, at);
}

Result<std::unique_ptr<sys::Datagrams>> NodeNetwork::open_datagrams(const sys::Address& at,
                                                                    sys::Binding) {
  return network_.open_datagrams(node_, at);
}

Result<std::unique_ptr<sys::Stream>> NodeNetwork::open_pipe(const std::string& path) {
  return fail(Code::unsupported, "{}: a simulated machine has no named pipes", path);
}

}  // namespace perigee::sim
