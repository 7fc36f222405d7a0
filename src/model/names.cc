#include "model/names.h"

#include "model/json_parts.h"
#include "model/limits.h"

namespace perigee::model {
namespace {

json::Value to_json(const NamedMachine& machine) {
  return json::object(
      {{"id", machine.id.str()}, {"region", machine.region.str()}, {"address", machine.address}});
}

Result<NamedMachine> named_machine_from(const json::Value& value) {
  NamedMachine machine;
  TRY(const std::string id, value.require_string("id"));
  TRY(const std::string region, value.optional_string("region"));
  machine.id = MachineId(id);
  machine.region = RegionCode(region);
  TRY(machine.address, value.require_string("address"));
  return machine;
}

}  // namespace

json::Value to_json(const AppNames& names) {
  json::Value machines = json::array();
  for (const NamedMachine& machine : names.machines) machines.push(to_json(machine));
  return json::object({{"app", names.app.str()}, {"machines", std::move(machines)}});
}

Result<AppNames> app_names_from(const json::Value& value) {
  AppNames names;
  TRY(const std::string app, value.require_string("app"));
  names.app = AppName(app);
  TRY(names.machines,
      list_of<NamedMachine>(value, "machines", kMaxNamedMachines, named_machine_from));
  return names;
}

}  // namespace perigee::model
