// MachineStore: the records on disk, machines/<id>/machine.json, each written whole and synced.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "json/json.h"
#include "sys/disk.h"
#include "worker/machine_types.h"

namespace perigee::worker {

json::Value to_json(const Record& record);
Result<Record> record_from(const json::Value& value);

// Ids become file names: 1 to 32 of 0-9 a-z.
bool is_safe_id(const MachineId& id);

class MachineStore {
 public:
  MachineStore(sys::Disk& disk, std::string machines_dir);

  struct Loaded {
    std::vector<Record> records;
    std::vector<MachineId> orphans;  // directories without a readable record
  };
  async::Task<Result<Loaded>> load();
  async::Task<Result<void>> save(Record record);
  async::Task<Result<void>> remove(MachineId id);  // the machine's whole directory

  std::string directory_of(const MachineId& id) const;
  std::string vm_directory_of(const MachineId& id) const;
  std::string upper_of(const MachineId& id) const;

 private:
  async::Task<Result<Record>> read(MachineId id);
  sys::Disk& disk_;
  std::string directory_;
};

}  // namespace perigee::worker
