// Machines as a table, for status and `perigee machine`.
#pragma once

#include <vector>

#include "client/types.h"

namespace perigee::cli {

void print_machines(const std::vector<client::MachineInfo>& machines);
// As the API has them.
json::Value documents(const std::vector<client::MachineInfo>& machines);
// Why a machine is as it is: its error, else whose order put it to rest; empty: nothing to say.
std::string note_on(const client::MachineInfo& machine);

}  // namespace perigee::cli
