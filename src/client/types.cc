#include "client/types.h"

namespace perigee::client {

Result<AppInfo> app_info_from(const json::Value& value) {
  AppInfo app;
  TRY(app.name, value.require_string("name"));
  TRY(app.status, value.optional_string("status"));
  TRY(app.hostname, value.optional_string("hostname"));
  TRY(app.machine_count, value.optional_int("machine_count", 0));
  TRY(app.current_release, value.optional_int("current_release", 0));
  TRY(app.last_release, value.optional_int("last_release", 0));
  TRY(app.created_at, value.optional_string("created_at"));
  app.document = value;
  return app;
}

namespace {

Result<std::vector<CheckInfo>> checks_from(const json::Value& value) {
  std::vector<CheckInfo> out;
  const json::Value* checks = value.find("checks");
  if (checks == nullptr) return out;
  for (const json::Value& item : checks->items()) {
    CheckInfo check;
    TRY(check.name, item.require_string("name"));
    TRY(check.status, item.require_string("status"));
    TRY(check.output, item.optional_string("output"));
    TRY(check.updated_at, item.optional_string("updated_at"));
    out.push_back(std::move(check));
  }
  return out;
}

}  // namespace

Result<MachineInfo> machine_info_from(const json::Value& value) {
  MachineInfo machine;
  TRY(machine.id, value.require_string("id"));
  TRY(machine.name, value.optional_string("name"));
  TRY(machine.state, value.require_string("state"));
  TRY(machine.region, value.optional_string("region"));
  TRY(machine.node, value.optional_string("node"));
  TRY(machine.private_ip, value.optional_string("private_ip"));
  TRY(machine.started_at, value.optional_string("started_at"));
  TRY(machine.release, value.optional_int("release", 0));
  TRY(machine.restart_count, value.optional_int("restart_count", 0));
  TRY(machine.listening, value.optional_bool("listening", false));
  TRY(machine.cordoned, value.optional_bool("cordoned", false));
  TRY(machine.checks, checks_from(value));
  TRY(machine.error, value.optional_string("error"));
  machine.document = value;
  return machine;
}

Result<ReleaseInfo> release_info_from(const json::Value& value) {
  ReleaseInfo release;
  TRY(release.version, value.require_int("version"));
  TRY(release.status, value.optional_string("status"));
  TRY(release.error, value.optional_string("error"));
  TRY(release.created_at, value.optional_string("created_at"));
  const json::Value* image = value.find("image");
  if (image != nullptr && image->is_string()) release.image = *image->string();
  release.document = value;
  return release;
}

Result<NodeInfo> node_info_from(const json::Value& value) {
  NodeInfo node;
  TRY(node.name, value.require_string("name"));
  TRY(node.region, value.optional_string("region"));
  TRY(node.state, value.optional_string("state"));
  TRY(node.accelerator, value.optional_string("accelerator"));
  TRY(node.cpus, value.optional_int("cpus", 0));
  TRY(node.memory_mib, value.optional_int("memory_mib", 0));
  TRY(node.memory_free_mib, value.optional_int("memory_free_mib", 0));
  node.document = value;
  return node;
}

Result<LogEntry> log_entry_from(const json::Value& value) {
  LogEntry entry;
  TRY(entry.timestamp, value.optional_string("timestamp"));
  TRY(entry.message, value.optional_string("message"));
  TRY(entry.stream, value.optional_string("stream"));
  TRY(entry.instance, value.optional_string("instance"));
  TRY(entry.region, value.optional_string("region"));
  entry.document = value;
  return entry;
}

}  // namespace perigee::client
