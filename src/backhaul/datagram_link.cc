#include "backhaul/datagram_link.h"

#include "base/log.h"
#include "proxy_protocol/proxy_header.h"

namespace perigee::backhaul {

DatagramLink::DatagramLink(sys::Host& host, Client& nodes, DatagramReceiver& receiver,
                           Counters& counters, std::string own_node, std::uint16_t port)
    : host_(host),
      nodes_(nodes),
      receiver_(receiver),
      counters_(counters),
      own_node_(std::move(own_node)),
      port_(port) {}

void DatagramLink::set_nodes(const std::map<std::string, model::RouteNode>& nodes) {
  addresses_.clear();
  names_.clear();
  for (const auto& [name, node] : nodes) {
    const auto address = sys::Address::ip(node.mesh_address, port_);
    if (!address) continue;  // Client has said so
    addresses_[name] = *address;
    if (name != own_node_) names_[address->str()] = name;
  }
  const auto own = addresses_.find(own_node_);
  const std::string text = own == addresses_.end() ? std::string() : own->second.str();
  if (text == own_address_ || closed_) return;
  own_address_ = text;
  running_.reset();
  socket_.reset();
  if (text.empty()) return;
  running_ = run(own->second);
  running_.start();
}

void DatagramLink::close() {
  closed_ = true;
  running_.reset();
  socket_.reset();
}

async::Task<void> DatagramLink::run(sys::Address at) {
  for (bool said = false;; said = true) {
    auto socket = host_.network.open_datagrams(at, sys::Binding::coming);
    if (socket) {
      socket_ = *std::move(socket);
      co_return co_await receive_all();
    }
    if (!said) log_warning("backhaul", "{}", socket.error().context);
    co_await host_.loop.sleep(kReopen);
  }
}

async::Task<void> DatagramLink::receive_all() {
  std::string buffer(proxy_protocol::kMaxHeader + kMaxDatagram + 1, '\0');
  for (std::size_t count = 1;; ++count) {
    const auto received = co_await socket_->receive(buffer);
    if (received) {
      take(received->from, std::string_view(buffer).substr(0, received->size));
    } else {
      log_warning("backhaul", "{}", received.error().context);
      co_await host_.loop.sleep(kAcceptPause);
    }
    if (count % kDatagramBurst == 0) co_await host_.loop.yield();
  }
}

void DatagramLink::take(const sys::Address& peer, std::string_view bytes) {
  const auto name = names_.find(peer.str());
  if (name == names_.end()) {
    ++counters_.strangers;
    return;
  }
  const auto decoded = decode_datagram(bytes);
  if (!decoded) {
    ++counters_.malformed;
    return;
  }
  const Datagram& datagram = decoded->datagram;
  if (!datagram.node.empty() && datagram.node != own_node_) {
    return pass_on(name->second, *decoded, bytes);
  }
  ++counters_.received;
  const std::string from = datagram.from.empty() ? name->second : datagram.from;
  receiver_.on_datagram(from, datagram, decoded->payload);
}

// For the node that it came from first: so nothing is passed on twice.
void DatagramLink::pass_on(const std::string& peer, const DecodedDatagram& decoded,
                           std::string_view bytes) {
  const Datagram& datagram = decoded.datagram;
  if (datagram.from != peer) return;
  if (nodes_.way_to(datagram.node) == datagram.node) {
    if (send_to(datagram.node, bytes)) ++counters_.relayed;
  } else if (datagram.kind == DatagramKind::to_machine) {
    const auto back = encode(refused(datagram, Refusal::unreachable), decoded.payload);
    if (back) send_to(peer, *back);
  }
}

bool DatagramLink::send_to(const std::string& node, std::string_view bytes) {
  const auto address = addresses_.find(node);
  if (socket_ == nullptr || address == addresses_.end()) return false;
  return socket_->send(bytes, address->second).has_value();
}

bool DatagramLink::send(const std::string& node, Datagram datagram, std::string_view payload) {
  if (node == own_node_) {
    receiver_.on_datagram(own_node_, datagram, payload);
    return true;
  }
  const auto by = nodes_.way_to(node);
  if (!by) return false;
  if (*by != node) {
    datagram.node = node;
    datagram.from = own_node_;
  }
  const auto bytes = encode(datagram, payload);
  if (!bytes || !send_to(*by, *bytes)) return false;
  ++counters_.sent;
  return true;
}

}  // namespace perigee::backhaul
