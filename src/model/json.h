// JSON forms of the model (public Machines API shapes where they exist; store, feed and report
// documents otherwise). Readers accept unknown members and name the path of a wrong one
// ("config.guest.memory_mb: must be a multiple of 64 from 128"); every value survives a round trip.
#pragma once

#include <string_view>

#include "base/result.h"
#include "json/json.h"
#include "model/types.h"

namespace perigee::model {

json::Value to_json(const MachineConfig& config);
Result<MachineConfig> machine_config_from(const json::Value& value);
json::Value to_json(const StopConfig& stop);
// Members that are missing stay as `base` has them.
Result<StopConfig> stop_config_from(const json::Value& value, StopConfig base);
json::Value to_json(const ImageRef& image);
Result<ImageRef> image_ref_from(const json::Value& value);
json::Value to_json(const App& app);
Result<App> app_from(const json::Value& value);
json::Value to_json(const Machine& machine);
Result<Machine> machine_from(const json::Value& value);
json::Value to_json(const Release& release);
Result<Release> release_from(const json::Value& value);
json::Value to_json(const MachineEvent& event);
json::Value to_json(const MachineStatus& status);
Result<MachineStatus> machine_status_from(const json::Value& value);
json::Value to_json(const NodeReport& report);
Result<NodeReport> node_report_from(const json::Value& value);
json::Value to_json(const Volume& volume);
Result<Volume> volume_from(const json::Value& value);
json::Value to_json(const VolumeStatus& status);
Result<VolumeStatus> volume_status_from(const json::Value& value);
json::Value to_json(const AppRoute& route);
Result<AppRoute> app_route_from(const json::Value& value);

// The public API's machine object: desired and observed joined.
json::Value public_machine(const Machine& machine, const MachineStatus* status);
// In MiB: `size_mb`, or `size_gb` as the public API has it; 0 where neither is there.
Result<std::int64_t> volume_size_in(const json::Value& value);
// The public API's volume object and its snapshots, likewise.
json::Value public_volume(const Volume& volume, const VolumeStatus* status);
json::Value public_snapshots(const Volume& volume, const VolumeStatus* status);

std::string_view name(MachineState state);
Result<MachineState> machine_state_from(std::string_view name);
std::string_view name(ReleaseStatus status);
std::string_view name(Origin origin);

// Names: apps are DNS labels (RFC 1035: a-z 0-9 -, starting with a letter, at most 63); regions are
// three lower-case letters.
Result<AppName> parse_app_name(std::string_view text);
Result<RegionCode> parse_region(std::string_view text);
Result<void> validate(const MachineConfig& config);
// a-z, 0-9 and _, starting with a letter, at most 30: as the Machines API has it.
Result<void> check_volume_name(std::string_view name);

}  // namespace perigee::model
