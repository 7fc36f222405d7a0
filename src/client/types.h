// What the API tells, as plain values; each keeps the document that it came from for `--json`.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "model/types.h"

namespace perigee::client {

struct AppInfo {
  std::string name;
  std::string status;    // pending, deployed
  std::string hostname;  // hello.localhost
  std::int64_t machine_count = 0;
  std::int64_t current_release = 0;  // 0: none yet
  std::int64_t last_release = 0;
  std::string created_at;
  json::Value document;
};
Result<AppInfo> app_info_from(const json::Value& value);

struct CheckInfo {
  std::string name;
  std::string status;  // passing, warning, critical
  std::string output;
  std::string updated_at;
};

struct MachineInfo {
  std::string id;
  std::string name;
  std::string state;
  std::string region;
  std::string node;
  std::string private_ip;
  std::string started_at;  // RFC 3339; empty: does not run
  std::int64_t release = 0;
  std::int64_t restart_count = 0;
  bool listening = false;
  bool cordoned = false;
  std::vector<CheckInfo> checks;
  std::string error;
  json::Value document;
};
Result<MachineInfo> machine_info_from(const json::Value& value);

struct ReleaseInfo {
  std::int64_t version = 0;
  std::string status;  // pending, running, succeeded, failed
  std::string image;
  std::string error;
  std::string created_at;
  json::Value document;
};
Result<ReleaseInfo> release_info_from(const json::Value& value);

struct NodeInfo {
  std::string name;
  std::string region;
  std::string state;  // ready, lost, unknown
  std::string accelerator;
  std::int64_t cpus = 0;
  std::int64_t memory_mib = 0;
  std::int64_t memory_free_mib = 0;
  json::Value document;
};
Result<NodeInfo> node_info_from(const json::Value& value);

struct LogEntry {
  std::string timestamp;
  std::string message;
  std::string stream;
  std::string instance;
  std::string region;
  json::Value document;
};
Result<LogEntry> log_entry_from(const json::Value& value);

}  // namespace perigee::client
