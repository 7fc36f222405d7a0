// DatagramLink: carries users' datagrams between the fleet's routers, over UDP inside the mesh.
//
//   DatagramLink link(host, client, receiver, counters, "n1");
//   link.set_nodes(table.nodes());                      // at each change of the routes
//   if (!link.send("n2", datagram, payload)) …          // there is no way now; else it may be lost
//
// One socket, at this node's mesh address. Where a node is and whether it can be reached, and else
// through which third one, it knows from Client, whose connections are pinged. It takes only what
// comes from a node's mesh address and port, and passes on once what is for another.
// Owned by the router, on its loop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "async/task.h"
#include "backhaul/client.h"
#include "backhaul/datagram.h"
#include "sys/host.h"

namespace perigee::backhaul {

class DatagramReceiver {
 public:
  virtual ~DatagramReceiver() = default;
  // `from`: the node whose router sent it first.
  virtual void on_datagram(const std::string& from, const Datagram& datagram,
                           std::string_view payload) = 0;
};

class DatagramLink {
 public:
  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t relayed = 0;    // for a third node
    std::uint64_t strangers = 0;  // not from a node of the fleet
    std::uint64_t malformed = 0;
  };

  DatagramLink(sys::Host& host, Client& nodes, DatagramReceiver& receiver, Counters& counters,
               std::string own_node, std::uint16_t port = kPort);

  void set_nodes(const std::map<std::string, model::RouteNode>& nodes);  // by name
  // To this node itself too, without a socket.
  bool send(const std::string& node, Datagram datagram, std::string_view payload);
  // For good: another router of this node is to have the socket. Nothing crosses any more.
  void close();

 private:
  async::Task<void> run(sys::Address at);
  async::Task<void> receive_all();
  void take(const sys::Address& peer, std::string_view bytes);
  void pass_on(const std::string& peer, const DecodedDatagram& decoded, std::string_view bytes);
  bool send_to(const std::string& node, std::string_view bytes);

  sys::Host& host_;
  Client& nodes_;
  DatagramReceiver& receiver_;
  Counters& counters_;
  std::string own_node_;
  std::uint16_t port_;
  std::map<std::string, sys::Address> addresses_;  // by node
  std::map<std::string, std::string> names_;       // of nodes, by their addresses' text
  std::string own_address_;
  bool closed_ = false;
  std::unique_ptr<sys::Datagrams> socket_;  // null: this node has no mesh address yet
  async::Task<void> running_;               // last: uses the others
};

}  // namespace perigee::backhaul
