// `perigeed --join`: makes this server a node of a fleet, once, before its roles start. Writes
// perigeed.toml where there is none, the node's identity, and the key ring that control gives it.
#pragma once

#include <string>

#include "config/node_config.h"
#include "config/paths.h"

namespace perigee::bin {

struct JoinOptions {
  std::string control;     // host[:port]
  std::string token;       // or
  std::string token_file;  // where it is; "-": standard input (join_token.h)
  std::string region;      // these: empty where perigeed.toml or a default says it
  std::string name;
  std::string roles;     // "worker,router"
  std::string endpoint;  // address[:port]; "none": behind NAT
};

// Nothing to do where this server has joined already.
Result<void> join_main(const config::Paths& paths, const std::string& config_file,
                       const JoinOptions& options);

}  // namespace perigee::bin
