#include "sim/simulation.h"

#include "base/check.h"

namespace perigee::sim {
namespace {

constexpr WallTime kEpoch{1'772'323'200'000'000'000};  // 2026-03-01T00:00:00Z

async::Task<void> pause(async::Loop& loop, Duration d) {
  co_await loop.sleep(d);
}

}  // namespace

WallTime Node::NodeClock::wall() {
  return kEpoch + (port.now() - MonotonicTime{}) + skew;
}

void Node::NodeEntropy::fill(std::span<std::uint8_t> bytes) {
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
}

Node::Node(Simulation& simulation, NodeIndex index, std::string name, Random random)
    : simulation_(simulation),
      index_(index),
      name_(std::move(name)),
      clock_(simulation.port_),
      entropy_(random.fork()),
      network_(simulation.network_, index),
      disk_(simulation.loop_, random.fork(),
            [this](std::string what) { return step(std::move(what)); }),
      processes_(simulation.loop_),
      host_{simulation.loop_, clock_, entropy_, network_, disk_, processes_, simulation.pool_},
      never_(simulation.loop_),
      tasks_(simulation.loop_) {}

Node::~Node() = default;

async::Task<void> Node::run(Node& node) {
  co_await node.simulation_.loop_.yield();
  co_await node.program_(node);
}

void Node::start(Program program) {
  PERIGEE_CHECK(!running());
  program_ = std::move(program);
  simulation_.network_.power_on(index_);
  tasks_.spawn(run(*this));
}

void Node::crash(Crash kind) {
  simulation_.trace_.note(simulation_.now(), kind == Crash::power ? "power off" : "kill", name_);
  if (kind == Crash::power) simulation_.network_.power_off(index_);
  tasks_.cancel_all();
  if (kind == Crash::power) {
    processes_.kill_all();
    disk_.lose_power();
  }
  crash_step_ = 0;
  crash_kind_ = kind;
}

void Node::restart() {
  PERIGEE_CHECK(program_ && !running());
  simulation_.trace_.note(simulation_.now(), "restart", name_);
  simulation_.network_.power_on(index_);
  tasks_.spawn(run(*this));
}

void Node::send(NodeIndex to, std::string text) {
  simulation_.network_.send(index_, to, std::move(text));
}

async::Task<Datagram> Node::receive() {
  return simulation_.network_.receive(index_);
}

void Node::crash_at_step(std::uint64_t at, Crash kind) {
  crash_step_ = steps_ + at;
  crash_kind_ = kind;
}

async::Task<void> Node::step(std::string what) {
  ++steps_;
  simulation_.trace_.note(simulation_.now(), "step", fmt::format("{} {}", name_, what));
  if (on_step_) on_step_(*this, what);
  if (crash_step_ == 0 || steps_ < crash_step_) co_return;
  simulation_.after(Duration::zero(), [this] {
    if (crash_step_ == 0) return;  // another step struck at the same instant
    crash(crash_kind_);
    if (on_crash_) on_crash_(*this);
  });
  for (;;) co_await async::wait_in(simulation_.loop_, never_);
}

Simulation::Simulation(std::uint64_t seed)
    : random_(seed),
      port_(trace_),
      loop_(port_),
      pool_(0),
      network_(port_, loop_, trace_, random_.fork()) {}

Simulation::~Simulation() {
  nodes_.clear();
  port_.clear();
}

Node& Simulation::add_node(std::string name) {
  network_.add_node();
  nodes_.push_back(std::make_unique<Node>(*this, nodes_.size(), std::move(name), random_.fork()));
  return *nodes_.back();
}

void Simulation::run_for(Duration d) {
  loop_.run(pause(loop_, d));
}

void Simulation::after(Duration d, std::move_only_function<void()> event) {
  port_.schedule(port_.now() + d, std::move(event));
}

}  // namespace perigee::sim
