// What a node's machines are called on their host.
#pragma once

#include <string>
#include <string_view>

#include "base/stable_hash.h"

namespace perigee::vm {

// The control group that holds those of a node's machines; `state` is the node's state directory.
inline std::string node_cgroup(std::string_view state) {
  return "perigee-" + node_hash(state);
}

}  // namespace perigee::vm
