// SimNetwork: links between the nodes of a simulation, with delay, jitter, loss and partitions.
//
// Streams behave as TCP does: a lost segment costs a retransmission, order is kept, writes fill a
// window, a peer without listener refuses, a crashed process resets, a machine without power is
// silent until a time-out. Datagrams are lost, doubled and overtaken, those between nodes
// (Node::send) as those of UDP sockets. An address is 10.77.<n>.<n>, loopback, a Unix path, or any
// other address that a node listens on for itself (its guests').
//
// Owned by Simulation; each node sees it through NodeNetwork.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "async/event.h"
#include "base/random.h"
#include "sim/limits.h"
#include "sim/trace.h"
#include "sim/virtual_port.h"
#include "sys/network.h"

namespace perigee::sim {

using NodeIndex = std::size_t;

// One direction of what lies between two nodes.
struct Link {
  Duration delay = 500us;
  Duration jitter = 100us;
  int loss_per_mille = 0;              // of datagrams and stream segments
  int duplicate_per_mille = 0;         // of datagrams
  int reset_per_mille = 0;             // a stream segment finds its connection reset
  bool cut = false;                    // partitioned
  std::size_t window = kStreamWindow;  // bytes of a stream that are sent and not yet read
};

struct Datagram {
  NodeIndex from = 0;
  std::string text;
};

bool is_wildcard(const sys::Address& address);  // 0.0.0.0 or ::

struct Connection;
struct Segment;
class SimDatagrams;
class SimListener;

class SimNetwork {
 public:
  SimNetwork(VirtualPort& port, async::Loop& loop, Trace& trace, Random random);

  // Both directions. `set_all_links` is what nodes without a link of their own have.
  void set_all_links(Link link) { default_link_ = link; }
  void set_link(NodeIndex a, NodeIndex b, Link link);
  void partition(NodeIndex a, NodeIndex b);
  void heal(NodeIndex a, NodeIndex b);

  static std::string address_of(NodeIndex node);

  // What nodes call (through Node and NodeNetwork).
  void add_node();
  void power_off(NodeIndex node);
  void power_on(NodeIndex node);
  void send(NodeIndex from, NodeIndex to, std::string text);
  async::Task<Datagram> receive(NodeIndex node);
  async::Task<Result<std::unique_ptr<sys::Stream>>> connect(NodeIndex from, sys::Address to);
  Result<std::unique_ptr<sys::Listener>> listen(NodeIndex node, sys::Address at);

  Result<std::unique_ptr<sys::Datagrams>> open_datagrams(NodeIndex node, sys::Address at);

  // Used by SimStream, SimListener and SimDatagrams.
  std::size_t window(NodeIndex from, NodeIndex to) const { return link(from, to).window; }
  async::Loop& loop() { return loop_; }
  Random& random() { return random_; }
  void transmit(const std::shared_ptr<Connection>& connection, int to, std::string bytes);
  void finish(const std::shared_ptr<Connection>& connection, int to);
  void reset(const std::shared_ptr<Connection>& connection, int to);
  void close_listener(const SimListener& listener);
  void send_datagram(const SimDatagrams& from, sys::Address sender, const sys::Address& to,
                     std::string text);
  void close_datagrams(const SimDatagrams& socket);

 private:
  struct Machine {
    explicit Machine(async::Loop& loop) : waits(loop) {}
    bool powered = true;
    std::uint64_t boot = 1;
    std::uint16_t next_port = 40000;
    std::deque<Datagram> inbox;
    async::WaiterQueue waits;
    std::map<std::string, SimListener*> listeners;
    std::map<std::string, SimDatagrams*> sockets;  // of UDP
  };
  enum class Passage { open, blocked, stale };

  const Link& link(NodeIndex from, NodeIndex to) const;
  Duration transit(NodeIndex from, NodeIndex to);
  bool blocked(NodeIndex from, NodeIndex to) const;
  NodeIndex owner_of(NodeIndex from, const sys::Address& to) const;
  SimListener* listener_at(NodeIndex node, const sys::Address& at) const;
  std::unique_ptr<sys::Stream> establish(NodeIndex from, NodeIndex to, const sys::Address& at,
                                         SimListener& listener);
  void pass(NodeIndex from, NodeIndex to, std::function<void()> deliver);
  void deliver_datagram(NodeIndex from, NodeIndex to, const std::string& text);
  SimDatagrams* socket_at(NodeIndex node, const sys::Address& at) const;
  void put_on_wire(const std::shared_ptr<Connection>& connection, int to, Segment segment);
  void arm_wire(const std::shared_ptr<Connection>& connection, int to, MonotonicTime at);
  void run_wire(const std::shared_ptr<Connection>& connection, int to);
  void arrive(const std::shared_ptr<Connection>& connection, int to, Segment segment);
  Passage passage(const Connection& connection, int to) const;
  void break_end(Connection& connection, int end, Code code);
  void note(std::string_view kind, NodeIndex from, NodeIndex to, std::string_view detail);

  VirtualPort& port_;
  async::Loop& loop_;
  Trace& trace_;
  Random random_;
  Link default_link_;
  std::map<std::pair<NodeIndex, NodeIndex>, Link> links_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::map<std::string, NodeIndex> addresses_;
};

// The network as one node has it.
class NodeNetwork : public sys::Network {
 public:
  NodeNetwork(SimNetwork& network, NodeIndex node) : network_(network), node_(node) {}
  async::Task<Result<std::unique_ptr<sys::Stream>>> connect(sys::Address to,
                                                            Deadline deadline) override;
  Result<std::unique_ptr<sys::Listener>> listen(const sys::Address& at) override;
  Result<std::unique_ptr<sys::Datagrams>> open_datagrams(const sys::Address& at,
                                                         sys::Binding binding) override;
  Result<std::unique_ptr<sys::Stream>> open_pipe(const std::string& path) override;

 private:
  SimNetwork& network_;
  NodeIndex node_;
};

}  // namespace perigee::sim
