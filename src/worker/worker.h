// Worker: the role that runs machines on this node, and the only one to touch VMs.
//
//   Worker worker(host, config, driver, images, disks, fabric, control);
//   co_await worker.run(std::move(worker_sock));      // until cancelled; VMs go on
//   co_await worker.stop_all(deadline);               // `perigee down`: before cancelling, from
//   another task
//
// At its start it reads its records, takes up the VMs that run (driver.adopt) and goes on with what
// the records say, whether control is there or not. Control's feed then tells what is wanted; each
// machine has a MachineReconciler that gets it there. Destroying a Worker stops nothing.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "async/event.h"
#include "async/task_group.h"
#include "dns/server.h"
#include "sys/host.h"
#include "vm/driver.h"
#include "worker/addresses.h"
#include "worker/config.h"
#include "worker/control_link.h"
#include "worker/fabric.h"
#include "worker/images.h"
#include "worker/log_archive.h"
#include "worker/machine_network.h"
#include "worker/machine_reconciler.h"
#include "worker/machine_store.h"
#include "worker/metrics_source.h"
#include "worker/name_book.h"
#include "worker/volumes.h"

namespace perigee::worker {

class Worker : private FeedSink {
 public:
  // All references outlive the worker. `invalid_argument` for a config that can't be.
  static Result<std::unique_ptr<Worker>> make(sys::Host& host, Config config, vm::Driver& driver,
                                              Images& images, VolumeDisks& disks, Fabric& fabric,
                                              ControlLink& control);
  ~Worker() override;

  // Without a listener nothing is served (tests). Returns only with an error that no retry mends.
  async::Task<Result<void>> run(std::unique_ptr<sys::Listener> listener);

  // Stops every VM, as each machine's stop configuration says, and takes the network down; the VMs
  // boot again at the next start of a worker. Those that are left at the deadline are named in the
  // error. May be called while run() still takes up what its predecessor left.
  async::Task<Result<void>> stop_all(Deadline deadline);

  // A process beside a machine's app (vm::Driver::exec); a signal to the app, which becomes an
  // event.
  async::Task<Result<std::unique_ptr<sys::Stream>>> exec(MachineId id);
  async::Task<Result<void>> signal(MachineId id, int number);
  // The output of an app's machines that are gone, oldest first.
  async::Task<Result<std::vector<ArchivedLog>>> archived_logs(AppName app);
  const Config& config() const { return config_; }
  // What the machine with that address may be told of names; nullopt: no machine has it.
  std::optional<dns::Client> name_client(const std::string& address) const;

  model::NodeReport report() const;
  const MachineReconciler* find(const MachineId& id) const;
  std::vector<SampleSeed> sample_seeds() const;
  vm::Driver& driver() const { return driver_; }
  std::string vm_directory_of(const MachineId& id) const { return store_.vm_directory_of(id); }

 private:
  Worker(sys::Host& host, Config config, AddressPool addresses, vm::Driver& driver, Images& images,
         VolumeDisks& disks, Fabric& fabric, ControlLink& control);

  void machine_wanted(model::Machine machine) override;
  void machine_gone(MachineId id) override;
  void synced(const std::set<MachineId>& machines) override;
  void volume_wanted(model::Volume volume) override { volumes_.want(std::move(volume)); }
  void volume_gone(VolumeId id) override { volumes_.gone(id); }
  void volumes_synced(const std::set<VolumeId>& all) override { volumes_.synced(all); }
  void registry_wanted(model::RegistryLogin login) override { registries_.want(std::move(login)); }
  void registry_gone(std::string registry) override { registries_.gone(registry); }
  void registries_synced(const std::set<std::string>& all) override { registries_.synced(all); }
  void names_told(model::AppNames names) override { names_.set(std::move(names)); }
  void names_gone(AppName app) override { names_.remove(app); }
  void names_synced(const std::set<AppName>& apps) override { names_.keep_only(apps); }

  async::Task<Result<void>> take_up();
  async::Task<std::vector<vm::VmStatus>> adopt();
  async::Task<Result<void>> note_host_restart(std::vector<Record>& records);
  static async::Task<void> follow_events(Worker& worker);
  static async::Task<void> follow_feed(Worker& worker);
  static async::Task<void> send_reports(Worker& worker);
  static async::Task<void> wait_until_stopped(Worker& worker);
  static async::Task<void> prune_logs(Worker& worker);
  MachineReconciler& add(Record record, MachineReconciler::Stored stored);
  void add_leftover(const MachineId& id);
  void reserve_address(Record& record);
  void sweep();
  bool all_at_rest() const;
  bool is_busy(const MachineId& id) const;  // has a VM, or is about to

  sys::Host& host_;
  Config config_;
  std::string boot_id_;
  vm::Driver& driver_;
  ControlLink& control_;
  AddressPool addresses_;
  MachineNetwork network_;
  MachineStore store_;
  LogArchive logs_;
  async::Semaphore boots_;
  Unsealer unsealer_;
  RegistryLogins registries_;
  async::Semaphore check_attempts_;
  ChangeSignal changed_;
  async::Event taken_up_;  // what the predecessor left is known
  Volumes volumes_;
  NameBook names_;
  Tools tools_;
  std::map<MachineId, vm::VmStatus> found_;  // VMs that no reconciler has taken up yet
  std::set<MachineId> orphans_;              // directories without a record, until control is heard
  std::map<MachineId, std::unique_ptr<MachineReconciler>> machines_;
  std::set<MachineId> gone_;                     // control knows them no more: drop when removed
  std::map<MachineId, model::Machine> revived_;  // … and knows them again
  bool synced_ = false;
  bool node_down_ = false;
  bool host_restarted_ = false;
  async::TaskGroup tasks_;
};

}  // namespace perigee::worker
