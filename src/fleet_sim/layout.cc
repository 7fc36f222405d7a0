#include "fleet_sim/layout.h"

#include "control/desired_table.h"
#include "control/records.h"

namespace perigee::fleet_sim {
namespace {

constexpr std::size_t kChangesPerTransaction = 1000;
constexpr int kMemoryMib = 256;            // of one machine
constexpr int kAppsForEachOnVolumes = 20;  // every so-manieth app's machines hold volumes
constexpr int kVolumeMib = 1024;

class Records {
 public:
  store::Transaction& next() {
    if (transactions_.empty() || transactions_.back().changes.size() >= kChangesPerTransaction)
      transactions_.emplace_back();
    return transactions_.back();
  }
  std::vector<store::Transaction> take() { return std::move(transactions_); }

 private:
  std::vector<store::Transaction> transactions_;
};

bool holds_volumes(int app) {
  return app % kAppsForEachOnVolumes == 0;
}

model::MachineConfig config_of(int app) {
  model::MachineConfig out;
  out.image = "registry.example/shop/web:42";
  out.env = {{"PORT", "8080"}, {"LOG_LEVEL", "info"}};
  out.guest.memory_mib = kMemoryMib;
  model::Service service;
  service.ports.resize(2);
  service.ports[0].port = 80;
  service.ports[0].handlers = {model::Handler::http};
  service.ports[1].port = 443;
  service.ports[1].handlers = {model::Handler::tls, model::Handler::http};
  out.services = {service};
  if (holds_volumes(app))
    out.mounts = {{.volume = {}, .name = "data", .path = "/data", .size_mib = kVolumeMib}};
  return out;
}

// In the order of the planner's: the first cities of an app have one more where it does not divide.
std::vector<RegionCode> cities_of_app(const Size& size, int app) {
  std::vector<RegionCode> out;
  for (int i = 0; i < kCitiesPerApp; ++i)
    out.push_back(city_of(size, (app * kCitiesPerApp + i) % size.cities));
  return out;
}

void add_node(const Size& size, int index, Records& records) {
  control::NodeRecord record;
  record.region = city_of(size, index);
  model::Membership membership;
  membership.index = index + 1;
  membership.mesh_address = fmt::format("fd12:3456:789a:{:x}::1", index + 1);
  // Without the role of a router: nothing is sent over the backhaul here.
  membership.roles = {"worker"};
  record.membership = membership;
  records.next().put(control::node_key(node_at(index)), to_json(record).dump());
}

void add_app(const Size& size, int index, Records& records) {
  model::App app{.name = app_at(index), .id = app_at(index).str(), .created_at = {}};
  app.number = static_cast<std::uint32_t>(index) + 1;
  app.current_release = app.last_release = 1;
  app.scale.regions = cities_of_app(size, index);
  app.scale.count = kMachinesPerApp;
  control::put(records.next(), app, 0);
  control::ReleaseRecord record;
  record.region = app.scale.regions.front();
  record.release.app = app.name;
  record.release.version = 1;
  record.release.status = model::ReleaseStatus::succeeded;
  record.release.config = config_of(index);
  control::put(records.next(), record, 0);
}

void add_volume(const model::Machine& machine, Records& records) {
  model::Volume volume;
  volume.id = machine.config.mounts.front().volume;
  volume.name = machine.config.mounts.front().name;
  volume.app = machine.app;
  volume.region = machine.region;
  volume.node = machine.node;
  volume.size_mib = kVolumeMib;
  volume.machine = machine.id;
  control::put(records.next(), volume, 0);
}

// The app's machine of that number: spread over its cities, and over the nodes of each.
void add_machine(const Size& size, int app, int number, Records& records) {
  const int city = (app * kCitiesPerApp + number % kCitiesPerApp) % size.cities;
  const int nodes_there = size.nodes / size.cities;
  const int node = city + ((number / kCitiesPerApp + app) % nodes_there) * size.cities;
  model::Machine machine;
  machine.id = MachineId(fmt::format("{:014x}", app * kMachinesPerApp + number + 1));
  machine.name = machine.id.str();
  machine.app = app_at(app);
  machine.node = node_at(node);
  machine.region = city_of(size, node);
  machine.instance_id = fmt::format("01JD{:022d}", app * kMachinesPerApp + number);
  machine.config = config_of(app);
  machine.image = {.registry = "registry.example",
                   .repository = "shop/web",
                   .tag = "42",
                   .digest = "sha256:" + std::string(64, 'a')};
  machine.release = 1;
  if (holds_volumes(app)) {
    machine.config.mounts.front().volume = VolumeId("vol_" + machine.id.str());
    add_volume(machine, records);
  }
  control::put(records.next(), machine, 0);
}

}  // namespace

NodeId node_at(int index) {
  return NodeId(fmt::format("n{:04d}", index));
}

RegionCode city_of(const Size& size, int node) {
  const int city = node % size.cities;  // "caa", "cab", …
  const auto letter = [](int of) { return static_cast<char>('a' + of % 26); };
  return RegionCode(std::string{'c', letter(city / 26), letter(city)});
}

AppName app_at(int index) {
  return AppName(fmt::format("app-{:04d}", index));
}

model::NodeReport empty_report(const Size& size, int node) {
  model::NodeReport report;
  report.node = node_at(node);
  report.region = city_of(size, node);
  report.cpus = 64;
  report.memory_mib = std::int64_t{kMemoryMib} * (size.machines / size.nodes) * 3 / 2;
  report.disk_free_mib = 100'000;
  return report;
}

std::vector<store::Transaction> initial_records(const Size& size) {
  Records records;
  for (int node = 0; node < size.nodes; ++node) add_node(size, node, records);
  for (int app = 0; app < size.apps(); ++app) {
    add_app(size, app, records);
    for (int number = 0; number < kMachinesPerApp; ++number)
      add_machine(size, app, number, records);
  }
  return records.take();
}

}  // namespace perigee::fleet_sim
