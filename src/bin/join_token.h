// The token of `perigeed --join`: from a file, standard input or the environment, so that it is not
// among the arguments, which everybody on the server can list; from there too, where one insists.
#pragma once

#include <string>

#include "base/result.h"
#include "bin/join_main.h"

namespace perigee::bin {

inline constexpr const char* kJoinTokenVariable = "PERIGEE_JOIN_TOKEN";

// Of the environment; empty: not there. Removes it, so that no program started later has it.
std::string take_token_variable();
// `variable`: what the environment said.
Result<std::string> read_join_token(const JoinOptions& options, const std::string& variable);

}  // namespace perigee::bin
