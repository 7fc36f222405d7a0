// Publisher: keeps the feeds true: one for the routers (routes of all apps, nodes of the fleet),
// one for the links (who is in the fleet, which keys there are), one per node (its machines and
// volumes, and where the other machines of their apps are), derived from desired and observed
// state. A change is published at the cost of the apps and nodes that it touches.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "control/desired_table.h"
#include "control/drains.h"
#include "control/feed.h"
#include "control/observed_table.h"
#include "model/fleet.h"
#include "model/names.h"
#include "secrets/key_file.h"

namespace perigee::control {

class Publisher {
 public:
  Publisher(async::Loop& loop, const DesiredTable& desired, const ObservedTable& observed,
            const Drains& drains, const secrets::KeyFile& keys, Changes& changes, std::string epoch,
            std::string domain);
  async::Task<void> run();

  Feed& routes() { return routes_; }
  Feed& fleet() { return fleet_; }
  Feed& node(const NodeId& id);  // made at the first call
  // Completes when observed state may be relied upon: each node that the store knows has reported
  // since our start, or the hold-back time is over; and the feeds show it. Before that, apps whose
  // machines run would seem to have no targets, and no names.
  async::Task<void> settled();
  // Brings all feeds up to date now, and tells the routes' revision.
  std::int64_t refresh();
  // Those that were published since the last call, for who keeps them as they are to be.
  std::set<AppName> take_touched_apps();
  const std::string& epoch() const { return epoch_; }  // of all feeds
  std::string host_of(const AppName& app) const { return app.str() + "." + domain_; }

 private:
  // What a machine in a node feed was made of.
  struct Source {
    store::Revision machine = 0;
    store::Revision app = 0;
    std::string private_network;
    bool operator==(const Source&) const = default;
  };
  struct NodeFeed {
    explicit NodeFeed(std::unique_ptr<Feed> made) : feed(std::move(made)) {}
    std::unique_ptr<Feed> feed;
    std::map<MachineId, Source> machines;  // as published
    std::map<VolumeId, store::Revision> volumes;
    std::map<std::string, store::Revision> registries;
    std::set<AppName> names;
  };
  bool all_reported() const;
  async::Task<bool> wait_reported();
  Touched resolve(Touched touched) const;
  void touch_all(Touched& touched) const;
  void publish_node(const NodeId& id, NodeFeed& node);
  void publish_volumes(const NodeId& id, NodeFeed& node);
  void publish_registries(NodeFeed& node);
  void publish_machines(const NodeId& id, NodeFeed& node);
  model::AppNames names_of(const AppName& app) const;
  void renew_names(const AppName& app);
  void publish_names(NodeFeed& node);
  void publish_route(const AppName& app);
  void publish_member(const NodeId& id);
  std::string private_network(const NodeId& node, const model::App& app) const;

  async::Loop& loop_;
  const DesiredTable& desired_;
  const ObservedTable& observed_;
  const Drains& drains_;
  const secrets::KeyFile& keys_;
  Changes& changes_;
  std::string epoch_;
  std::string domain_;
  MonotonicTime start_;
  bool told_ = false;      // that nodes are missing
  MonotonicTime next_at_;  // not sooner does `run` publish again
  Feed routes_;
  Feed fleet_;
  std::map<AppName, std::string> names_;  // as told, of apps that have machines
  std::map<NodeId, NodeFeed> nodes_;
  std::set<AppName> touched_apps_;
};

}  // namespace perigee::control
