// What joining a fleet takes beside that where the new node is to run control: its [store] must be
// the fleet's, and it keeps what control nodes share. Of join_main, before this server is a node.
#pragma once

#include "config/node_config.h"
#include "config/paths.h"
#include "model/join.h"
#include "sys/host.h"

namespace perigee::bin {

// Before the token is spent: that this server's configuration has what control needs, that it was
// no control node of something else, and that its store is of the fleet that the token is for.
async::Task<Result<void>> check_may_run_control(sys::Host& host, config::Paths paths,
                                                config::NodeConfig node, model::JoinToken token);

// API token and CA, each in its place.
async::Task<Result<void>> keep_control_files(sys::Host& host, config::Paths paths,
                                             model::ControlFiles files);

}  // namespace perigee::bin
