// A reload: the supervisor becomes the program that was ordered, and has every role replaced by it.
// The order is a file in the run directory, so that one that was begun is finished by whichever
// supervisor comes next. What came of it is another.
//
//   perigeed reload:  order_reload(run, program); SIGHUP to the supervisor; reload_result(run) …
//   the supervisor:   exec; start(); replace_all(); finish_reload(run, result)
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace perigee::supervisor {

// `conflict`: one is under way.
Result<void> order_reload(const std::string& run_directory, const std::string& program);
// The program of the order; empty: there is none.
std::string ordered_program(const std::string& run_directory);
void finish_reload(const std::string& run_directory, const Result<void>& result);
// nullopt: it is under way.
std::optional<Result<void>> reload_result(const std::string& run_directory);

}  // namespace perigee::supervisor
