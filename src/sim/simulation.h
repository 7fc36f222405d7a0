// Simulation: a fleet in one thread, on virtual time, from one seed.
//
//   Simulation simulation(seed);
//   Node& a = simulation.add_node("a");
//   a.start([](Node& node) { return program(node); });      // uses node.host() as a real one
//   simulation.run_for(10s);
//   a.crash(Crash::power); … a.restart();
//   simulation.trace().hash();                               // same seed, same hash
//
// All nodes share one loop; each has its own Host: clock, entropy, network address, disk,
// processes. Nothing here depends on addresses of objects, hash order or real time; programs that
// run in it must not either.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/task_group.h"
#include "async/thread_pool.h"
#include "base/random.h"
#include "sim/disk.h"
#include "sim/network.h"
#include "sim/process.h"
#include "sim/trace.h"
#include "sim/virtual_port.h"
#include "sys/host.h"

namespace perigee::sim {

// process: kill -9 of what runs on the node; its kernel lives on. power: the machine is off.
enum class Crash { process, power };

class Simulation;

class Node {
 public:
  using Program = std::function<async::Task<void>(Node&)>;

  Node(Simulation& simulation, NodeIndex index, std::string name, Random random);
  ~Node();

  sys::Host& host() { return host_; }
  NodeIndex index() const { return index_; }
  const std::string& name() const { return name_; }
  SimDisk& disk() { return disk_; }
  SimProcesses& processes() { return processes_; }

  // Runs `program` until it ends, or a crash destroys it; `restart` runs it again on the same disk.
  void start(Program program);
  void crash(Crash kind);
  void restart();
  Crash last_crash() const { return crash_kind_; }
  bool running() const { return tasks_.size() > 0; }

  void send(NodeIndex to, std::string text);
  async::Task<Datagram> receive();

  // Crash points: everything that changes the outside world passes `step` before and after. The
  // step numbered `at` (from 1, counted from now) is never passed: the node crashes there.
  async::Task<void> step(std::string what);
  void crash_at_step(std::uint64_t at, Crash kind);
  std::uint64_t steps() const { return steps_; }
  // Called at every step, before it can crash: where a test checks its invariants.
  void on_step(std::function<void(Node&, std::string_view)> callback) {
    on_step_ = std::move(callback);
  }
  // Called when a crash point has struck, after the crash.
  void on_crash(std::function<void(Node&)> callback) { on_crash_ = std::move(callback); }
  void set_clock_skew(Duration skew) { clock_.skew = skew; }

 private:
  struct NodeClock : sys::Clock {
    explicit NodeClock(VirtualPort& from) : port(from) {}
    WallTime wall() override;
    VirtualPort& port;
    Duration skew{};
  };
  struct NodeEntropy : sys::Entropy {
    explicit NodeEntropy(Random seeded) : random(seeded) {}
    void fill(std::span<std::uint8_t> bytes) override;
    Random random;
  };
  static async::Task<void> run(Node& node);

  Simulation& simulation_;
  NodeIndex index_;
  std::string name_;
  NodeClock clock_;
  NodeEntropy entropy_;
  NodeNetwork network_;
  SimDisk disk_;
  SimProcesses processes_;
  sys::Host host_;
  Program program_;
  std::uint64_t steps_ = 0;
  std::uint64_t crash_step_ = 0;
  Crash crash_kind_ = Crash::process;
  std::function<void(Node&)> on_crash_;
  std::function<void(Node&, std::string_view)> on_step_;
  async::WaiterQueue never_;
  async::TaskGroup tasks_;
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed);
  ~Simulation();

  Node& add_node(std::string name);
  Node& node(NodeIndex index) { return *nodes_[index]; }
  async::Loop& loop() { return loop_; }
  SimNetwork& network() { return network_; }
  Trace& trace() { return trace_; }
  Random& random() { return random_; }  // for the test's own choices
  MonotonicTime now() { return port_.now(); }

  void run_for(Duration d);
  template <typename T>
  T run(async::Task<T> task) {
    return loop_.run(std::move(task));
  }
  // Runs `event` between two turns of the loop; it may crash and restart nodes.
  void after(Duration d, std::move_only_function<void()> event);

 private:
  friend class Node;
  Trace trace_;
  Random random_;
  VirtualPort port_;
  async::Loop loop_;
  async::ThreadPool pool_;
  SimNetwork network_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace perigee::sim
