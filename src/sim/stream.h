// SimStream, SimListener and the Connection they share. Private to sim.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "sim/network.h"

namespace perigee::sim {

struct Segment {
  enum class Kind { data, end, reset } kind = Kind::data;
  std::string bytes;
  MonotonicTime due;
};

// One end of a connection: what its process and its machine's kernel know.
struct ConnectionEnd {
  explicit ConnectionEnd(async::Loop& loop) : readers(loop), writers(loop) {}
  NodeIndex node = 0;
  std::uint64_t boot = 0;  // of the machine when the connection was made
  sys::Address address;
  std::string received;         // not read yet
  bool end_received = false;    // the peer writes no more
  bool end_sent = false;        // we write no more
  bool closed = false;          // the stream object is gone
  std::optional<Code> broken;   // reset or timed out
  std::size_t unread_sent = 0;  // bytes from this end that the peer has not read
  async::WaiterQueue readers;
  async::WaiterQueue writers;
};

// The segments on their way to one end, in order; one pending event moves them.
struct Wire {
  std::deque<Segment> segments;
  MonotonicTime last_due;
  bool armed = false;
  std::optional<MonotonicTime> blocked_since;
};

// Shared by both streams and by the events on their way; it goes away with the last of them.
struct Connection {
  explicit Connection(async::Loop& loop) : ends{ConnectionEnd(loop), ConnectionEnd(loop)} {}
  std::array<ConnectionEnd, 2> ends;  // 0 connected, 1 accepted
  std::array<Wire, 2> wires;          // by destination
  ConnectionEnd& end(int i) { return ends[static_cast<std::size_t>(i)]; }
  const ConnectionEnd& end(int i) const { return ends[static_cast<std::size_t>(i)]; }
  Wire& wire(int i) { return wires[static_cast<std::size_t>(i)]; }
};

class SimStream : public sys::Stream {
 public:
  SimStream(SimNetwork& network, std::shared_ptr<Connection> connection, int end);
  ~SimStream() override;
  async::Task<Result<std::size_t>> read(std::span<char> into) override;
  async::Task<Result<void>> write(std::string_view data) override;
  Result<std::optional<std::size_t>> try_read(std::span<char> into) override;
  void when_readable(async::Waiter& waiter) override;
  Result<void> shutdown_write() override;
  sys::Address peer() const override { return connection_->end(1 - end_).address; }
  sys::Address local() const override { return mine().address; }

 private:
  ConnectionEnd& mine() const { return connection_->end(end_); }
  SimNetwork& network_;
  std::shared_ptr<Connection> connection_;
  int end_;
};

class SimListener : public sys::Listener {
 public:
  SimListener(SimNetwork& network, NodeIndex node, sys::Address at);
  ~SimListener() override;
  async::Task<Result<std::unique_ptr<sys::Stream>>> accept() override;
  sys::Address local() const override { return at_; }
  NodeIndex node() const { return node_; }
  bool offer(std::unique_ptr<sys::Stream>& stream);  // false: the backlog is full

 private:
  SimNetwork& network_;
  NodeIndex node_;
  sys::Address at_;
  std::deque<std::unique_ptr<sys::Stream>> waiting_;
  async::WaiterQueue waits_;
};

}  // namespace perigee::sim
