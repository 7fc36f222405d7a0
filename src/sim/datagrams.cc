#include "sim/datagrams.h"

#include <algorithm>

namespace perigee::sim {

SimDatagrams::SimDatagrams(SimNetwork& network, NodeIndex node, sys::Address at)
    : network_(network), node_(node), at_(std::move(at)), waits_(network.loop()) {}

SimDatagrams::~SimDatagrams() {
  network_.close_datagrams(*this);
}

void SimDatagrams::arrive(std::string text, sys::Address from, sys::Address to) {
  if (inbox_.size() >= kMaxInbox) return;
  inbox_.push_back({.text = std::move(text), .from = std::move(from), .to = std::move(to)});
  waits_.wake_one();
}

async::Task<Result<sys::Datagrams::Received>> SimDatagrams::receive(std::span<char> into) {
  while (inbox_.empty()) co_await async::wait_in(network_.loop(), waits_);
  const Arrived first = std::move(inbox_.front());
  inbox_.pop_front();
  const std::string_view fits = std::string_view(first.text).substr(0, into.size());
  std::ranges::copy(fits, into.begin());
  co_return Received{fits.size(), first.from, first.to};
}

Result<void> SimDatagrams::send(std::string_view data, const sys::Address& to) {
  network_.send_datagram(*this, at_, to, std::string(data));
  return {};
}

Result<void> SimDatagrams::send_from(const sys::Address& own, std::string_view data,
                                     const sys::Address& to) {
  network_.send_datagram(*this, own, to, std::string(data));
  return {};
}

// ---- the network's part ----

Result<std::unique_ptr<sys::Datagrams>> SimNetwork::open_datagrams(NodeIndex node,
                                                                   sys::Address at) {
  Machine& machine = *machines_[node];
  if (at.port() == 0) {
    TRY(at, sys::Address::ip(at.host(), machine.next_port++));
  }
  SimDatagrams*& slot = machine.sockets[at.str()];
  if (slot != nullptr) return fail(Code::already_exists, "open UDP {}: Address already in use", at);
  auto socket = std::make_unique<SimDatagrams>(*this, node, at);
  slot = socket.get();
  return socket;
}

void SimNetwork::close_datagrams(const SimDatagrams& socket) {
  machines_[socket.node()]->sockets.erase(socket.local().str());
}

SimDatagrams* SimNetwork::socket_at(NodeIndex node, const sys::Address& at) const {
  const auto& sockets = machines_[node]->sockets;
  if (const auto found = sockets.find(at.str()); found != sockets.end()) return found->second;
  for (const auto& [text, socket] : sockets) {
    const sys::Address local = socket->local();
    if (local.port() == at.port() && is_wildcard(local)) return socket;
  }
  return nullptr;
}

void SimNetwork::send_datagram(const SimDatagrams& from, sys::Address sender,
                               const sys::Address& to, std::string text) {
  const NodeIndex source = from.node();
  const NodeIndex target = owner_of(source, to);
  if (is_wildcard(sender)) {
    const std::string host = to.is_loopback() ? "127.0.0.1" : address_of(source);
    sender = *sys::Address::ip(host, sender.port());
  }
  pass(source, target, [this, source, target, sender, to, text = std::move(text)] {
    note("datagram", source, target, text);
    if (SimDatagrams* socket = socket_at(target, to)) socket->arrive(text, sender, to);
  });
}

}  // namespace perigee::sim
