// How listeners travel from one process to another that it starts, as from the supervisor to a
// role: as descriptors from 3 up, named in the environment.
//
//   PERIGEE_LISTENERS="api=3,internal=4"
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace perigee::supervisor {

inline constexpr int kFirstListener = 3;
inline constexpr const char* kListenersVariable = "PERIGEE_LISTENERS";

struct NamedDescriptor {
  std::string name;
  int fd = -1;
  bool operator==(const NamedDescriptor&) const = default;
};

std::string format_listeners(const std::vector<NamedDescriptor>& listeners);
Result<std::vector<NamedDescriptor>> parse_listeners(std::string_view text);
// Whether this process was started as a role of a node.
bool started_by_supervisor();
// Has the program find these, copied. First of its descriptors beside 0 to 2.
void pass_listeners(sys::Spawn& spawn, const std::vector<NamedDescriptor>& ours,
                    const char* variable = kListenersVariable);
// In what was started: takes what the environment names, once.
Result<std::multimap<std::string, sys::Fd>> inherited_listeners(
    const char* variable = kListenersVariable);
// A variable of the program's environment, which is ours otherwise.
void set_variable(sys::Spawn& spawn, const std::string& name, std::string value);
// Copies of another process's listeners, read off its environment, in the order of `names`. An
// error when they are not exactly those.
Result<std::vector<sys::Fd>> copy_listeners_of(pid_t pid, const std::vector<std::string>& names);

}  // namespace perigee::supervisor
