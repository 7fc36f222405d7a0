// A guest's reports as they came over the channel, made into what the monitor's socket shows
// (vm/guest_report.h): addresses as text, names with nothing in them but what a terminal may be
// sent. Pure.
#pragma once

#include <vector>

#include "channel/types.h"
#include "vm/guest_report.h"

namespace perigee::monitor {

std::vector<vm::ListeningSocket> shown(const channel::Listening& report);
std::vector<vm::ProcessReport> shown(const channel::Processes& report);
// The same with names that can be shown and numbers that JSON holds.
channel::Stats shown(channel::Stats report);

}  // namespace perigee::monitor
