// A lab's folder: lab.json in it says what the lab was made from, and everything else follows.
#pragma once

#include <string>
#include <vector>

#include "async/task.h"
#include "lab/lab_file.h"
#include "lab/topology.h"
#include "sys/host.h"

namespace perigee::lab {

struct Lab {
  LabFile file;
  Plan plan;
};

// The lab in a folder; not_found where there is none.
async::Task<Result<Lab>> load_lab(sys::Host& host, std::string directory);
// The same, made of these where there is none yet. `conflict`: it has other cities, or control
// elsewhere.
async::Task<Result<Lab>> ensure_lab(sys::Host& host, std::string directory,
                                    std::vector<City> cities, ControlPlan control);

}  // namespace perigee::lab
