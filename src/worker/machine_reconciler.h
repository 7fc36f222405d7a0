// MachineReconciler: one machine on this node, one coroutine. It asks plan() what comes next,
// writes the record, acts, and asks again; so it can be killed anywhere and go on from the record.
//
// Others only tell it things (a new desired state, a VM's event) and look at its status; they never
// wait for it. Owned by Worker.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/event.h"
#include "async/task_group.h"
#include "sys/host.h"
#include "vm/driver.h"
#include "worker/addresses.h"
#include "worker/change_signal.h"
#include "worker/check_runner.h"
#include "worker/config.h"
#include "worker/images.h"
#include "worker/log_archive.h"
#include "worker/machine_network.h"
#include "worker/machine_plan.h"
#include "worker/machine_store.h"
#include "worker/registry_logins.h"
#include "worker/unsealer.h"
#include "worker/volumes.h"

namespace perigee::worker {

// What the machines of a node share.
struct Tools {
  sys::Host& host;
  const Config& config;
  vm::Driver& driver;
  Images& images;
  MachineStore& store;
  Volumes& volumes;
  AddressPool& addresses;
  MachineNetwork& network;
  async::Semaphore& boots;
  Unsealer& unsealer;
  RegistryLogins& registries;
  async::Semaphore& check_attempts;
  ChangeSignal& changed;  // raised when a status did
  LogArchive& logs;
};

// What the firewall is to know of a machine that has an address.
vm::FirewallMachine firewall_machine(const Tools& tools, const Record& record);

class MachineReconciler {
 public:
  // A machine that has a record, or (`stored` no) gets one now. Its address is reserved already.
  enum class Stored { no, yes };
  MachineReconciler(Tools& tools, Record record, Stored stored, std::optional<vm::VmStatus> vm);
  MachineReconciler(const MachineReconciler&) = delete;
  MachineReconciler& operator=(const MachineReconciler&) = delete;

  void start();  // once

  void want(model::Machine machine);
  void want_gone();  // control does not know it: as destroyed
  void vm_changed(vm::VmStatus vm);
  void node_down();
  void signalled(int number);  // a user's signal has been sent; it becomes an event
  void host_restarted() { observed_.host_restarted = true; }  // before start()

  const model::MachineStatus& status() const { return record_.status; }
  const model::Machine& machine() const { return pending_ ? *pending_ : record_.machine; }
  const model::Machine& recorded() const { return record_.machine; }  // as it is on disk
  bool removed() const { return record_.status.state == model::MachineState::destroyed; }
  const std::optional<vm::VmStatus>& vm() const { return observed_.vm; }
  bool has_vm() const;
  bool at_rest() const;  // no VM, and none on its way

 private:
  static async::Task<void> run(MachineReconciler& self);
  static async::Task<void> wait_for_change(MachineReconciler& self);
  static async::Task<void> wait_for_other_wish(MachineReconciler& self);
  static async::Task<void> attempt_boot(MachineReconciler& self);
  static async::Task<void> probe(MachineReconciler& self, std::string address, int port);

  async::Task<void> explain_silence(int port);
  async::Task<void> rest(std::optional<MonotonicTime> until);
  async::Task<Result<void>> absorb();
  async::Task<Result<void>> record_signals();
  async::Task<Result<void>> perform(Action action);
  async::Task<Result<void>> boot();
  async::Task<Result<void>> prepare_and_boot();
  using Attached =
      std::vector<std::pair<std::string, AttachedVolume>>;  // with its path in the guest
  async::Task<Result<Attached>> attach_volumes();
  async::Task<Result<void>> add_volumes(vm::VmSpec& spec, const Attached& attached);
  async::Task<Result<vm::VmSpec>> make_spec();
  async::Task<Result<void>> ensure_address();
  async::Task<Result<void>> suspend();
  async::Task<Result<void>> discard();
  async::Task<Result<void>> signal();
  async::Task<Result<void>> kill();
  async::Task<Result<void>> forget();
  async::Task<Result<void>> remove();
  async::Task<void> archive_output();
  async::Task<Result<void>> change(Action action);
  void apply(Action action);
  async::Task<Result<void>> save();
  bool wishes_otherwise() const;
  void poke();
  void reset_boot_state();
  void delay_boot(std::optional<Duration> delay);
  void update_probe();
  void update_checks();

  Tools& tools_;
  Record record_;
  bool stored_;
  Observed observed_;
  std::optional<model::Machine> pending_;  // what control said since
  std::optional<vm::VmStatus> noted_exit_;
  std::vector<int> signals_;  // sent since, not yet on record
  bool dirty_ = true;
  bool handed_over_ = false;  // to the driver: a boot that can't be called off any more
  Result<void> boot_result_;
  async::Notify poked_;
  async::TaskGroup probes_;
  CheckRunner checks_;
  async::TaskGroup runner_;
};

}  // namespace perigee::worker
