// DesiredTable: the store's content as typed values in memory, on control's loop.
//
// Control is the store's only writer; the table follows it by a watch. `commit` answers when the
// table shows the change, so that a caller reads what it wrote. Everything that waits for a change
// waits on one Notify, which observed state shares. References and iterators into the table hold
// until the next co_await: copy what is needed longer.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "async/event.h"
#include "control/changes.h"
#include "control/host_records.h"
#include "control/node_use.h"
#include "control/owner_index.h"
#include "control/records.h"
#include "model/registry.h"
#include "model/types.h"
#include "store/store.h"

namespace perigee::control {

// A value and the revision to expect in a compare-and-swap.
template <typename T>
struct Stored {
  T value;
  store::Revision revision = 0;
};

class DesiredTable {
 public:
  using ReleaseId = std::pair<AppName, std::int64_t>;

  using SecretId = std::pair<AppName, std::string>;

  DesiredTable(async::Loop& loop, store::Store& store, Changes& changes);
  // Reads everything. Before any other use.
  async::Task<Result<void>> load();
  // Keeps the table up to date, for ever.
  async::Task<void> follow();
  // Commits and waits until the table shows it.
  async::Task<Result<void>> commit(store::Transaction transaction);

  // As far as the store is known here; and until it is known as far as that, or `at`.
  store::Revision revision() const { return revision_; }
  async::Task<void> reached(store::Revision revision, MonotonicTime at) const;

  Result<Stored<model::App>> app(const AppName& name) const;  // not_found with the next step
  Result<Stored<model::Machine>> machine(const AppName& app, const MachineId& id) const;
  Result<Stored<model::Volume>> volume(const AppName& app, const VolumeId& id) const;
  Result<Stored<ReleaseRecord>> release(const AppName& app, std::int64_t version) const;
  // Those not to be destroyed, oldest first.
  std::vector<Stored<model::Machine>> machines_of(const AppName& app) const;

  // Those to be destroyed included.
  const std::set<MachineId>& machine_ids_of(const AppName& app) const { return of_app_.of(app); }
  const std::set<MachineId>& machines_on(const NodeId& node) const { return on_node_.of(node); }
  // That go of themselves when they have exited.
  const std::set<MachineId>& auto_destroy_machines() const { return auto_destroy_; }
  const std::set<MachineId>& scheduled_machines() const { return scheduled_; }
  // That are put to rest where no requests come.
  const std::set<MachineId>& autostop_machines() const { return autostop_; }
  NodeUse use_of_node(const NodeId& node) const;
  const std::set<ReleaseId>& unfinished_releases() const { return unfinished_; }
  const std::set<VolumeId>& destroyed_volumes() const { return destroyed_volumes_; }
  const std::set<VolumeId>& volumes_on(const NodeId& node) const { return volumes_on_.of(node); }

  std::vector<std::pair<std::string, Stored<SecretRecord>>> secrets_of(const AppName& app) const;

  const std::map<AppName, Stored<model::App>>& apps() const { return apps_; }
  const std::map<MachineId, Stored<model::Machine>>& machines() const { return machines_; }
  const std::map<VolumeId, Stored<model::Volume>>& volumes() const { return volumes_; }
  // Those not to be destroyed, oldest first.
  std::vector<Stored<model::Volume>> volumes_of(const AppName& app) const;
  const std::map<ReleaseId, Stored<ReleaseRecord>>& releases() const { return releases_; }
  const std::map<std::string, Stored<CertificateRecord>>& certificates() const {
    return certificates_;
  }
  // Hosts that apps have beside <app>.<domain>.
  const std::map<std::string, Stored<HostRecord>>& hosts() const { return hosts_; }
  const std::set<std::string>& hosts_of(const AppName& app) const { return hosts_of_.of(app); }
  const std::optional<Stored<AcmeAccountRecord>>& acme_account() const { return acme_account_; }
  const std::map<SecretId, Stored<SecretRecord>>& secrets() const { return secrets_; }
  const std::map<std::string, Stored<model::RegistryLogin>>& registries() const {
    return registries_;
  }
  const std::map<std::string, Stored<TokenRecord>>& tokens() const { return tokens_; }
  const std::map<NodeId, Stored<NodeRecord>>& nodes() const { return nodes_; }
  const std::optional<Stored<FleetRecord>>& fleet() const { return fleet_; }
  const std::map<std::string, Stored<JoinTokenRecord>>& join_tokens() const { return join_tokens_; }
  const std::map<MachineId, Stored<LeaseRecord>>& leases() const { return leases_; }
  const std::map<MachineId, Stored<VersionsRecord>>& versions() const { return versions_; }

 private:
  void clear();
  void apply(const std::string& key, const std::optional<std::string>& text,
             store::Revision revision);
  Result<void> apply_app(const AppName& name, const std::optional<std::string>& text,
                         store::Revision revision);
  Result<void> apply_machine(const MachineId& id, const std::optional<std::string>& text,
                             store::Revision revision);
  void enlist(const MachineId& id);
  void strike(const MachineId& id);
  Result<void> apply_volume(const VolumeId& id, const std::optional<std::string>& text,
                            store::Revision revision);
  Result<void> apply_host(const std::string& host, const std::optional<std::string>& text,
                          store::Revision revision);
  Result<void> apply_release(ReleaseId id, const std::optional<std::string>& text,
                             store::Revision revision);
  async::Task<Result<void>> follow_once();
  async::Task<bool> advance_to(store::Revision revision) const;

  async::Loop& loop_;
  store::Store& store_;
  Changes& changes_;
  mutable async::Notify advanced_;  // revision_ has grown
  store::Revision revision_ = 0;
  std::map<AppName, Stored<model::App>> apps_;
  std::map<MachineId, Stored<model::Machine>> machines_;
  OwnerIndex<AppName, MachineId> of_app_;
  OwnerIndex<NodeId, MachineId> on_node_;
  std::set<MachineId> auto_destroy_;
  std::set<MachineId> scheduled_;
  std::set<MachineId> autostop_;
  std::map<NodeId, NodeUse> use_of_node_;
  std::map<VolumeId, Stored<model::Volume>> volumes_;
  OwnerIndex<NodeId, VolumeId> volumes_on_;
  std::set<VolumeId> destroyed_volumes_;
  std::map<ReleaseId, Stored<ReleaseRecord>> releases_;
  std::set<ReleaseId> unfinished_;
  std::map<std::string, Stored<CertificateRecord>> certificates_;
  std::map<std::string, Stored<HostRecord>> hosts_;
  OwnerIndex<AppName, std::string> hosts_of_;
  std::optional<Stored<AcmeAccountRecord>> acme_account_;
  std::map<SecretId, Stored<SecretRecord>> secrets_;
  std::map<std::string, Stored<model::RegistryLogin>> registries_;
  std::map<std::string, Stored<TokenRecord>> tokens_;
  std::map<NodeId, Stored<NodeRecord>> nodes_;
  std::optional<Stored<FleetRecord>> fleet_;
  std::map<std::string, Stored<JoinTokenRecord>> join_tokens_;
  std::map<MachineId, Stored<LeaseRecord>> leases_;
  std::map<MachineId, Stored<VersionsRecord>> versions_;
};

// Writers of one object as a put that expects what was read (revision 0: that it is new).
void put(store::Transaction& t, const model::App& app, store::Revision expected);
void put(store::Transaction& t, const model::Machine& machine, store::Revision expected);
void put(store::Transaction& t, const model::Volume& volume, store::Revision expected);
void put(store::Transaction& t, const AppName& app, std::string_view name,
         const SecretRecord& secret, store::Revision expected);
void put(store::Transaction& t, const model::RegistryLogin& login, store::Revision expected);
void put(store::Transaction& t, const HostRecord& host, store::Revision expected);
void put(store::Transaction& t, const ReleaseRecord& release, store::Revision expected);

}  // namespace perigee::control
