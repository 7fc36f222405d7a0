#include "worker/machine_store.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/log.h"
#include "model/json.h"
#include "worker/limits.h"

namespace perigee::worker {
namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::array<std::string_view, 3> kBootPhases{"none", "ordered", "ended"};

Result<BootPhase> boot_phase_from(std::string_view name) {
  const auto found = std::ranges::find(kBootPhases, name);
  if (found == kBootPhases.end()) return fail(Code::data_loss, "boot: unknown phase '{}'", name);
  return static_cast<BootPhase>(found - kBootPhases.begin());
}

Result<std::vector<WallTime>> restarts_from(const json::Value& value) {
  std::vector<WallTime> restarts;
  const json::Value* list = value.find("restarts_ns");
  if (list == nullptr) return restarts;
  for (const json::Value& item : list->items()) {
    const auto ns = item.integer();
    if (!ns) return fail(Code::data_loss, "restarts_ns: expected whole numbers");
    restarts.push_back({*ns});
  }
  return restarts;
}

}  // namespace

json::Value to_json(const Record& record) {
  json::Array restarts;
  for (const WallTime at : record.restarts) restarts.emplace_back(at.ns);
  return json::object({{"format", kFormat},
                       {"boot", kBootPhases.at(static_cast<std::size_t>(record.boot))},
                       {"resume", record.resume},
                       {"snapshot", record.snapshot},
                       {"restarts_ns", json::array(std::move(restarts))},
                       {"machine", model::to_json(record.machine)},
                       {"status", model::to_json(record.status)}});
}

Result<Record> record_from(const json::Value& value) {
  TRY(const std::int64_t format, value.require_int("format"));
  if (format != kFormat) return fail(Code::unsupported, "format {}: not known", format);
  const json::Value* machine = value.find("machine");
  const json::Value* status = value.find("status");
  if (machine == nullptr || status == nullptr) {
    return fail(Code::data_loss, "machine or status: missing");
  }
  Record record;
  TRY_AS(record.machine, model::machine_from(*machine), "machine");
  TRY_AS(record.status, model::machine_status_from(*status), "status");
  TRY(const std::string boot, value.require_string("boot"));
  TRY(record.boot, boot_phase_from(boot));
  TRY(record.resume, value.optional_bool("resume", false));
  TRY(record.snapshot, value.optional_string("snapshot"));
  TRY(record.restarts, restarts_from(value));
  return record;
}

bool is_safe_id(const MachineId& id) {
  constexpr std::size_t kMaxLength = 32;
  return !id.empty() && id.str().size() <= kMaxLength && std::ranges::all_of(id.str(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
  });
}

MachineStore::MachineStore(sys::Disk& disk, std::string machines_dir)
    : disk_(disk), directory_(std::move(machines_dir)) {}

std::string MachineStore::directory_of(const MachineId& id) const {
  return fmt::format("{}/{}", directory_, id);
}

std::string MachineStore::vm_directory_of(const MachineId& id) const {
  return directory_of(id) + "/vm";
}

std::string MachineStore::upper_of(const MachineId& id) const {
  return directory_of(id) + "/upper.ext4";
}

async::Task<Result<MachineStore::Loaded>> MachineStore::load() {
  constexpr unsigned kMode = 0700;
  CO_TRY_VOID(co_await disk_.make_directories(directory_, kMode));
  CO_TRY(const std::vector<std::string> names, co_await disk_.list(directory_));
  Loaded loaded;
  for (const std::string& name : names) {
    const MachineId id(name);
    if (!is_safe_id(id)) continue;
    Result<Record> record = co_await read(id);
    if (record && record->machine.id == id) {
      loaded.records.push_back(*std::move(record));
      continue;
    }
    if (!record && record.error().code != Code::not_found) {
      log_error("worker", "machine {}: its record can't be used: {}", id, record.error().context);
    }
    loaded.orphans.push_back(id);
  }
  co_return loaded;
}

async::Task<Result<Record>> MachineStore::read(MachineId id) {
  const std::string path = directory_of(id) + "/machine.json";
  CO_TRY(const std::string text, co_await disk_.read_file(path, kMaxRecordBytes));
  CO_TRY_AS(const json::Value value, json::parse(text), path);
  CO_TRY_AS(Record record, record_from(value), path);
  co_return record;
}

async::Task<Result<void>> MachineStore::save(Record record) {
  constexpr unsigned kDirectoryMode = 0700;
  constexpr unsigned kFileMode = 0600;
  const std::string directory = directory_of(record.machine.id);
  CO_TRY_VOID(co_await disk_.make_directories(directory, kDirectoryMode));
  co_return co_await disk_.write_file(directory + "/machine.json", to_json(record).dump(),
                                      kFileMode, sys::Durability::synced);
}

async::Task<Result<void>> MachineStore::remove(MachineId id) {
  co_return co_await disk_.remove_tree(directory_of(id));
}

}  // namespace perigee::worker
