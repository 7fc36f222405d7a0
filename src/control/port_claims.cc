#include "control/port_claims.h"

#include <algorithm>
#include <set>

#include "control/records.h"
#include "model/shared_ports.h"

namespace perigee::control {
namespace {

constexpr std::string_view kAdvice = "give this one an address: perigee ips allocate-v4";

const model::App* holder_of(const DesiredTable& desired, const std::string& port) {
  for (const auto& [name, stored] : desired.apps()) {
    if (std::ranges::count(stored.value.shared_ports, port) > 0) return &stored.value;
  }
  return nullptr;
}

// Of the release that serves, and of the machines that are there.
std::vector<model::Service> services_in_use(const DesiredTable& desired, const model::App& app) {
  std::vector<model::Service> out;
  const auto add = [&](const std::vector<model::Service>& services) {
    out.insert(out.end(), services.begin(), services.end());
  };
  const auto release = desired.releases().find({app.name, app.current_release});
  if (release != desired.releases().end()) add(release->second.value.release.config.services);
  for (const auto& machine : desired.machines_of(app.name)) add(machine.value.config.services);
  return out;
}

// What is wanted must be possible, unless there is an address for it; what runs already may be of a
// version that did not ask.
Result<std::set<std::string>> needed_ports(const DesiredTable& desired, const model::App& app,
                                           const std::vector<model::Service>& wanted) {
  const auto ports = model::shared_ports_of(wanted);
  if (!ports && app.addresses.empty()) {
    return fail(Code::conflict, "services: {}; {}", ports.error().context, kAdvice);
  }
  std::set<std::string> out;
  if (ports) out.insert(ports->begin(), ports->end());
  for (const model::Service& service : services_in_use(desired, app)) {
    const auto in_use = model::shared_ports_of({service});
    if (in_use) out.insert(in_use->begin(), in_use->end());
  }
  return out;
}

}  // namespace

Result<void> claim_ports(const Context& context, store::Transaction& transaction, model::App& app,
                         const std::vector<model::Service>& wanted) {
  const bool has_address = !app.addresses.empty();
  TRY(const std::set<std::string> needed, needed_ports(context.desired, app, wanted));
  std::vector<std::string> claimed;
  for (const std::string& port : needed) {
    const model::App* holder = holder_of(context.desired, port);
    if (holder == nullptr) {
      transaction.expect(port_key(port), 0);
      transaction.put(port_key(port), json::object({{"app", app.name.str()}}).dump());
    } else if (holder->name != app.name) {
      if (has_address) continue;
      return fail(Code::conflict, "port {} belongs to app {}; {}", port, holder->name, kAdvice);
    }
    claimed.push_back(port);
  }
  for (const std::string& former : app.shared_ports) {
    if (std::ranges::count(claimed, former) == 0) transaction.remove(port_key(former));
  }
  app.shared_ports = std::move(claimed);
  return {};
}

void release_ports(store::Transaction& transaction, const model::App& app) {
  for (const std::string& port : app.shared_ports) transaction.remove(port_key(port));
}

}  // namespace perigee::control
