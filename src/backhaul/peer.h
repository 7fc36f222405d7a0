// Peer: the warm connections to one other node's router.
//
// One is kept where nothing happens, so that the path's round trip is known and the first request
// need not wait; kBusyConnections while there are requests, opened ahead; more where many run at
// once. Several, because a lost packet stalls all streams of its connection. Each is kept and
// watched by pings; one that is silent takes no more requests, then ends. A node that can't be
// reached is dialed again with back-off.
//
// For tunnels two more TCP connections are kept, each for one, while tunnels are used.
//
// Owned by Client, on the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "async/event.h"
#include "async/task_group.h"
#include "backhaul/limits.h"
#include "http2/connection.h"
#include "sys/host.h"

namespace perigee::backhaul {

using ConnectionPtr = std::shared_ptr<http2::Connection>;

class Peer {
 public:
  Peer(sys::Host& host, const sys::Address& at);

  // The one with the fewest streams, waited for while one is being made; null: none can be.
  async::Task<ConnectionPtr> connection(Deadline deadline);
  // A connection of its own, on which nothing has been said; waited for where none is kept.
  async::Task<Result<std::unique_ptr<sys::Stream>>> tunnel(Deadline deadline);
  // Some connection answers, or the first is still being made.
  bool reachable() const;
  // Of the path; nullopt before the first answer to a ping.
  std::optional<Duration> rtt() const { return rtt_; }
  std::size_t connections() const { return links_.size(); }
  const sys::Address& address() const { return at_; }

 private:
  async::Task<void> keep();
  async::Task<void> dial();
  async::Task<void> dial_spare();
  std::unique_ptr<sys::Stream> take_spare();
  void keep_spares();
  async::Task<void> run_link(ConnectionPtr connection);
  async::Task<void> retire(ConnectionPtr connection);
  void look_after_links();
  void dial_missing();
  bool usable(const http2::Connection& connection) const;
  std::size_t usable_links() const;
  std::size_t wanted() const;
  ConnectionPtr pick() const;

  sys::Host& host_;
  sys::Address at_;
  std::vector<ConnectionPtr> links_;
  std::optional<Duration> rtt_;
  std::optional<MonotonicTime> used_;
  std::size_t dialing_ = 0;
  std::vector<std::unique_ptr<sys::Stream>> spares_;
  std::size_t dialing_spares_ = 0;
  std::optional<MonotonicTime> tunneled_;  // the last use of one
  bool refused_ = false;                   // the last dial failed
  Duration redial_ = kFirstRedial;
  MonotonicTime next_dial_;
  async::Notify changed_;   // a connection is there, or a dial has failed
  async::Notify wake_;      // the keeper has something to do
  async::TaskGroup tasks_;  // last: uses the others
};

}  // namespace perigee::backhaul
