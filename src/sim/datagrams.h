// SimDatagrams: a UDP socket of a simulated machine. Private to sim.
//
// What it sends passes a link as SimNetwork::send does: lost, doubled, overtaken. Nobody is told
// where nothing is bound. What nobody reads is kept up to kMaxInbox.
#pragma once

#include <deque>
#include <string>

#include "sim/network.h"

namespace perigee::sim {

class SimDatagrams : public sys::Datagrams {
 public:
  SimDatagrams(SimNetwork& network, NodeIndex node, sys::Address at);
  ~SimDatagrams() override;
  async::Task<Result<Received>> receive(std::span<char> into) override;
  Result<void> send(std::string_view data, const sys::Address& to) override;
  Result<void> send_from(const sys::Address& own, std::string_view data,
                         const sys::Address& to) override;
  sys::Address local() const override { return at_; }
  NodeIndex node() const { return node_; }
  void arrive(std::string text, sys::Address from, sys::Address to);

 private:
  struct Arrived {
    std::string text;
    sys::Address from;
    sys::Address to;
  };
  SimNetwork& network_;
  NodeIndex node_;
  sys::Address at_;
  std::deque<Arrived> inbox_;
  async::WaiterQueue waits_;
};

}  // namespace perigee::sim
