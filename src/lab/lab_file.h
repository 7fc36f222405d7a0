// LabFile: what a lab was made from, in lab.json in its folder, on disk before anything is made.
// Everything else follows from it and the folder's path (topology.h). docs/formats/lab.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lab/control_plan.h"
#include "lab/geography.h"

namespace perigee::lab {

struct LabFile {
  std::vector<City> cities;
  ControlPlan control;
  std::uint64_t seed = 1;  // of jitter and loss
  bool operator==(const LabFile&) const = default;
};

std::string encode(const LabFile& lab);
Result<LabFile> decode_lab_file(std::string_view text);

}  // namespace perigee::lab
