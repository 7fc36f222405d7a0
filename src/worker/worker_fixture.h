// A node in the simulation with a worker on it, and everything around the worker faked: control,
// images, firewall, VMs. The fakes outlive the worker, as the real ones do; each of their effects
// is a step at which the node can crash. Test code only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/simulation.h"
#include "vm/fake_driver.h"
#include "worker/worker.h"

namespace perigee::worker {

// Control: what it wants, as a journal that each connection replays as a snapshot and follows; and
// what it was told last.
class FakeControl {
 public:
  explicit FakeControl(sim::Simulation& simulation)
      : changed_(simulation.loop()), told_(simulation.loop()) {}

  void want(model::Machine machine);
  void forget(const MachineId& id);
  void want(model::Volume volume);
  void tell(model::AppNames names);
  void forget_volume(const VolumeId& id) { volumes_.erase(id); }
  void want(model::RegistryLogin login);
  void forget_registry(const std::string& registry);
  void go_away(bool away);
  bool away() const { return away_; }

  const std::optional<model::NodeReport>& report() const { return report_; }
  const model::MachineStatus* status(const MachineId& id) const;
  const model::VolumeStatus* status(const VolumeId& id) const;
  ChangeSignal& told() { return told_; }

 private:
  friend class FakeLink;
  bool away_ = false;
  std::map<MachineId, model::Machine> wanted_;
  std::vector<std::pair<MachineId, std::optional<model::Machine>>> journal_;
  std::map<VolumeId, model::Volume> volumes_;               // sent whole at each change
  std::map<std::string, model::RegistryLogin> registries_;  // likewise
  std::map<AppName, model::AppNames> names_;                // likewise
  std::optional<model::NodeReport> report_;
  ChangeSignal changed_;
  ChangeSignal told_;
};

// One worker's connection to it.
class FakeLink : public ControlLink {
 public:
  FakeLink(FakeControl& control, sim::Node& node) : control_(control), node_(node) {}
  async::Task<void> follow(FeedSink& sink) override;
  async::Task<Result<void>> report(model::NodeReport report) override;

 private:
  void send_snapshot(FeedSink& sink);
  void send_volumes(FeedSink& sink);
  void send_registries(FeedSink& sink);
  void send_names(FeedSink& sink);
  FakeControl& control_;
  sim::Node& node_;
};

class FakeImages : public Images {
 public:
  explicit FakeImages(sim::Node& node) : node_(node) {}
  async::Task<Result<PreparedImage>> prepare(model::ImageRef image, image::Login login,
                                             int max_layers) override;
  async::Task<Result<void>> make_upper(std::string path, std::uint64_t bytes) override;

  std::optional<Error> failure;  // of the next prepares
  Duration takes = 20ms;
  int prepared = 0;
  image::Login login;  // of the last prepare

 private:
  sim::Node& node_;
};

// Disks as small files of the simulation: "ext4 SIZE".
class FakeDisks : public VolumeDisks {
 public:
  explicit FakeDisks(sim::Node& node) : node_(node) {}
  async::Task<Result<std::optional<DiskFacts>>> look(std::string path) override;
  async::Task<Result<void>> make(std::string path, std::int64_t size_mib, std::string key) override;
  async::Task<Result<void>> copy(std::string from, std::string to) override;
  async::Task<Result<void>> rename(std::string from, std::string to) override;
  async::Task<Result<void>> grow(std::string path, std::int64_t size_mib) override;
  async::Task<Result<std::int64_t>> free_mib(std::string directory) override;

  std::optional<Error> failure;  // of the next makes
  int made = 0;
  std::string key;  // of the last make

 private:
  sim::Node& node_;
};

class FakeFabric : public Fabric {
 public:
  explicit FakeFabric(sim::Node& node) : node_(node) {}
  async::Task<Result<void>> apply(std::vector<vm::FirewallMachine> machines) override;
  async::Task<Result<void>> remove() override;
  int applied = 0;
  Duration takes = 0ms;                       // an apply
  bool present = false;                       // in the host's network
  std::vector<vm::FirewallMachine> machines;  // as applied last

 private:
  sim::Node& node_;
};

// The FakeDriver with crash points around each of its effects.
class SteppingDriver : public vm::Driver {
 public:
  SteppingDriver(sim::Node& node, vm::FakeVms& vms) : node_(node), inner_(node.host(), vms) {}
  std::string accelerator() const override { return inner_.accelerator(); }
  vm::DriverLimits limits() const override { return inner_.limits(); }
  async::Task<Result<std::vector<vm::VmStatus>>> adopt() override { return inner_.adopt(); }
  async::Task<Result<void>> boot(vm::VmSpec spec) override;
  async::Task<Result<void>> signal(MachineId machine, int number) override;
  async::Task<Result<std::unique_ptr<sys::Stream>>> exec(MachineId machine) override {
    return inner_.exec(std::move(machine));
  }
  async::Task<Result<void>> kill(MachineId machine) override;
  async::Task<Result<void>> forget(MachineId machine) override;
  async::Task<Result<void>> suspend(MachineId machine) override;
  async::Task<Result<std::unique_ptr<vm::Hold>>> hold(MachineId machine) override {
    return inner_.hold(std::move(machine));
  }
  async::Task<Result<void>> discard(MachineId machine) override;
  async::Task<Result<std::vector<vm::ListeningSocket>>> listening(MachineId machine) override {
    return inner_.listening(std::move(machine));
  }
  async::Task<Result<json::Value>> processes(MachineId machine) override {
    return inner_.processes(std::move(machine));
  }
  async::Task<Result<std::optional<vm::VmmCounts>>> vmm_counts(MachineId machine) override {
    return inner_.vmm_counts(std::move(machine));
  }
  async::Task<Result<channel::Stats>> stats(MachineId machine) override {
    return inner_.stats(std::move(machine));
  }
  async::Task<vm::VmStatus> next_event() override { return inner_.next_event(); }

 private:
  sim::Node& node_;
  vm::FakeDriver inner_;
};

inline constexpr const char* kKeyRing = "/etc/keys.json";  // for tests to make

class Bench {
 public:
  explicit Bench(std::uint64_t seed);
  void start();                 // the worker
  void crash(sim::Crash kind);  // … and restart after a moment
  void down_for_good(sim::Crash kind);

  // A machine that is wanted started, version v1.
  static model::Machine machine(const std::string& id);
  // Runs until `id` is reported in `state` with everything asked for acted on; false after 5 min.
  bool until(const MachineId& id, model::MachineState state);
  void run_for(Duration d) { simulation.run_for(d); }
  std::string exit_codes_reported(const MachineId& id) const;
  std::set<std::string> machine_paths();  // below machines/

  sim::Simulation simulation;
  sim::Node& node;
  std::optional<vm::FakeVms> vms;
  FakeControl control;
  FakeImages images;
  FakeDisks disks;
  FakeFabric fabric;
  Worker* worker = nullptr;  // while it runs
  std::string violation;     // of an invariant, at some step

 private:
  static async::Task<void> run_worker(Bench& bench);
  static async::Task<void> wait_for(Bench& bench, MachineId id, model::MachineState state);
  bool reached(const MachineId& id, model::MachineState state) const;
  void lose_vms(sim::Crash kind);
  void check_step(std::string_view what);
  std::map<MachineId, model::MachineState> saved_;
  vm::FakeVms::Script script_;
};

}  // namespace perigee::worker
